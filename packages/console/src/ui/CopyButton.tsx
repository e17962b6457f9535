import { useEffect, useState } from "react";
import { useText } from "../lib/i18n.ts";
import { Icon } from "./Icon.tsx";
import { texts } from "./texts.ts";

export interface CopyButtonProps {
  readonly text: string;
  /** What it copies, for those who don't see it. */
  readonly name?: string;
  readonly onCopied?: () => void;
}

export function CopyButton({ text, name, onCopied }: CopyButtonProps) {
  const t = useText(texts);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    onCopied?.();
  };
  return (
    <button
      type="button"
      className="icon-button copy"
      aria-label={name ? `${t.copy}: ${name}` : t.copy}
      title={t.copy}
      onClick={() => void copy()}
    >
      <Icon name={copied ? "check" : "copy"} size={16} />
      <span role="status" className="sr-only">
        {copied ? t.copied : ""}
      </span>
    </button>
  );
}
