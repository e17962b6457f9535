/** Small parts that screens are made of. */
import { type ReactNode, useState } from "react";
import { useLanguage, useText } from "../lib/i18n.ts";
import { CopyButton } from "./CopyButton.tsx";
import { texts } from "./texts.ts";

interface ScreenProps {
  readonly title: ReactNode;
  readonly about?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

export function ScreenFrame({ title, about, actions, children }: ScreenProps) {
  return (
    <section className="screen">
      <div className="screen-head">
        <h1>{title}</h1>
        {actions && <div className="actions">{actions}</div>}
        {about && <p className="about">{about}</p>}
      </div>
      {children}
    </section>
  );
}

const units = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

/** In place of a value that is not there. */
export const None = () => <span className="quiet none">–</span>;

/** How long ago or ahead; the exact time is its title. */
export function Time({ at }: { readonly at: string | null | undefined }) {
  const language = useLanguage();
  if (!at) return <None />;
  const seconds = (new Date(at).getTime() - Date.now()) / 1_000;
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  const text = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(
    Math.trunc(seconds / size),
    unit,
  );
  return (
    <time dateTime={at} title={new Date(at).toLocaleString(language)}>
      {text}
    </time>
  );
}

/** An id, cut to its end: version 7 ids begin alike. */
export function Id({ id }: { readonly id: string | null | undefined }) {
  if (!id) return <None />;
  return (
    <span className="id mono" title={id}>
      …{id.slice(-8)} <CopyButton text={id} name={id} />
    </span>
  );
}

const marks = { good: "●", warn: "‖", bad: "✕", neutral: undefined } as const;

interface PillProps {
  readonly kind?: keyof typeof marks;
  readonly title?: string;
  readonly children: ReactNode;
}

/** A state: never by its colour alone. */
export function Pill({ kind = "neutral", title, children }: PillProps) {
  const mark = marks[kind];
  return (
    <span className={`pill is-${kind}`} title={title}>
      {mark && <span aria-hidden="true">{mark}</span>}
      {children}
    </span>
  );
}

export function NumberText({ value }: { readonly value: number | null | undefined }) {
  const language = useLanguage();
  if (value === null || value === undefined) return <None />;
  return (
    <span style={{ fontVariantNumeric: "tabular-nums" }}>{value.toLocaleString(language)}</span>
  );
}

export function Bytes({ value }: { readonly value: number | null | undefined }) {
  const language = useLanguage();
  if (value === null || value === undefined) return <None />;
  const names = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, value)) / 3));
  const text = new Intl.NumberFormat(language, {
    style: "unit",
    unit: names[power] ?? "byte",
    maximumFractionDigits: power === 0 ? 0 : 1,
  }).format(value / 1000 ** power);
  return <span>{text}</span>;
}

/** @public */
export function Figure({ value, name }: { readonly value: ReactNode; readonly name: string }) {
  return (
    <div className="figure">
      <b>{value}</b>
      <span>{name}</span>
    </div>
  );
}

/** Any value, as a line that is cut, or whole on demand. */
export function Json({ value }: { readonly value: unknown }) {
  const text = JSON.stringify(value, null, 2) ?? "";
  return (
    <div className="code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre tabIndex={0}>{text}</pre>
      <CopyButton text={text} />
    </div>
  );
}

/** A secret that is shown once: the dialog closes when it was saved. @public */
export function SecretOnce({
  secret,
  onSaved,
}: {
  readonly secret: string;
  readonly onSaved: () => void;
}) {
  const t = useText(texts);
  const [copied, setCopied] = useState(false);
  return (
    <div className="grid">
      <div className="code">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <pre tabIndex={0}>{secret}</pre>
        <CopyButton text={secret} onCopied={() => setCopied(true)} />
      </div>
      <button type="button" className="text-button" aria-pressed={copied} onClick={onSaved}>
        {t.keepSecret}
      </button>
    </div>
  );
}
