/** What is shown instead of a screen, or of a part of it: refused, not there, empty, failed. */
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { useText } from "../lib/i18n.ts";
import { useMe } from "../lib/me.ts";
import { consolePath } from "../lib/place.ts";
import { refusalOf } from "../lib/problem.ts";
import { CopyButton } from "./CopyButton.tsx";
import { texts } from "./texts.ts";

interface ForbiddenProps {
  readonly unless: string | undefined;
  readonly children: ReactNode;
}

/** Nothing is asked that would be refused. */
export function Forbidden({ unless, children }: ForbiddenProps) {
  const t = useText(texts);
  const { permissions } = useMe();
  if (unless === undefined || permissions.includes(unless)) return children;
  return (
    <div className="state">
      <h2>{t.forbidden}</h2>
      <p>{t.forbiddenAbout(unless)}</p>
    </div>
  );
}

export function Missing() {
  const t = useText(texts);
  return (
    <div className="state">
      <h2>{t.notFound}</h2>
      <p>{t.notFoundAbout}</p>
      <Link to="/">{t.back}</Link>
    </div>
  );
}

export interface EmptyProps {
  readonly title: string;
  readonly about?: string;
  /** A command that makes the first one. */
  readonly command?: string;
  readonly children?: ReactNode;
}

export function Empty({ title, about, command, children }: EmptyProps) {
  return (
    <div className="state">
      <h2>{title}</h2>
      {about && <p>{about}</p>}
      {children}
      {command && (
        <div className="code">
          <pre>{command}</pre>
          <CopyButton text={command} />
        </div>
      )}
    </div>
  );
}

interface ProblemProps {
  readonly error: unknown;
  readonly onRetry?: (() => void) | undefined;
}

/** A refusal, whole: what it says, and by which id it is found in the log. */
export function Problem({ error, onRetry }: ProblemProps) {
  const t = useText(texts);
  const { title, detail, code, status, requestId, retryAfterSeconds } = refusalOf(error);
  const left = useCountdown(retryAfterSeconds);
  if (status === 404) {
    // Whether it is somebody else's or never was is not told apart.
    return (
      <div className="state" role="alert">
        <h2>{t.notFound}</h2>
        <p>{t.notFoundAbout}</p>
      </div>
    );
  }
  return (
    <div className="state" role="alert">
      <h2>{code === "network" ? t.network : title}</h2>
      {detail && <p>{detail}</p>}
      {left > 0 && <p>{t.retryIn(left)}</p>}
      <p className="mono quiet">
        {status} {code}
        {requestId && ` · ${t.requestId} ${requestId}`}
      </p>
      {onRetry && left === 0 && (
        <button type="button" className="text-button" onClick={onRetry}>
          {t.again}
        </button>
      )}
    </div>
  );
}

function useCountdown(seconds: number | undefined): number {
  const [left, setLeft] = useState(seconds ?? 0);
  useEffect(() => {
    setLeft(seconds ?? 0);
    if (!seconds) return undefined;
    const timer = setInterval(() => setLeft((was) => Math.max(0, was - 1)), 1_000);
    return () => clearInterval(timer);
  }, [seconds]);
  return left;
}

export const ScreenProblem = ({
  error,
  reset,
}: {
  readonly error: unknown;
  readonly reset: () => void;
}) => <Problem error={error} onRetry={reset} />;

/** Before there is a shell. */
export function ProblemPage({ error }: { readonly error: unknown }) {
  const t = useText(texts);
  const { status } = refusalOf(error);
  return (
    <main className="state">
      {status === 404 || status === 403 ? <Missing /> : <Problem error={error} />}
      <a href={consolePath}>{t.reload}</a>
    </main>
  );
}
