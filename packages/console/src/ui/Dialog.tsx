import { type ReactNode, useEffect, useRef } from "react";
import { useText } from "../lib/i18n.ts";
import { Icon } from "./Icon.tsx";
import { texts } from "./texts.ts";

export interface DialogProps {
  readonly title: string;
  readonly onClose?: () => void;
  readonly className?: string;
  readonly children: ReactNode;
}

/** The browser's own dialog: it keeps the focus inside, and gives it back when it closes. */
export function Dialog({ title, onClose, className = "", children }: DialogProps) {
  const t = useText(texts);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const opener = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) onClose?.();
      }}
    >
      <div className="dialog-inside">
        <div className="dialog-head">
          <h2>{title}</h2>
          {onClose && (
            <button type="button" className="icon-button" aria-label={t.close} onClick={onClose}>
              <Icon name="close" />
            </button>
          )}
        </div>
        {children}
      </div>
    </dialog>
  );
}
