import type { Schemas } from "@insulae/client";
import { type FormEvent, useEffect, useState } from "react";
import { renderSVG } from "uqr";
import { useText } from "../lib/i18n.ts";
import type { Asked } from "./asked.ts";
import { call } from "./call.ts";
import { Field, valuesOf } from "./Field.tsx";
import { texts } from "./texts.ts";
import { useAttempt } from "./use-attempt.ts";
import { Wrong } from "./Wrong.tsx";

interface Props {
  readonly asked: Asked;
  readonly onSignedIn: (signedIn: Schemas["SignedIn"]) => void;
}

/** The tenant asks for a second factor, and whoever signs in has none yet. */
export function Enrolment({ asked, onSignedIn }: Props) {
  const t = useText(texts);
  const { busy, wrong, attempt } = useAttempt();
  const [totp, setTotp] = useState<Schemas["BegunTotp"]>();
  const [added, setAdded] = useState<Schemas["AddedFactor"]>();
  const { mfa_token } = asked;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    void attempt(async () => setTotp(await call("/auth/second-factor/totp", { mfa_token })));
  }, []);

  if (added?.recovery_codes) {
    return (
      <div className="auth-form">
        <h2>{t.recoveryTitle}</h2>
        <p className="quiet">{t.recoveryAbout}</p>
        <pre className="codes">{added.recovery_codes.join("\n")}</pre>
        <button type="button" className="primary" onClick={() => onSignedIn(added.session)}>
          {t.saved}
        </button>
      </div>
    );
  }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { code } = valuesOf(event.currentTarget);
    void attempt(async () => {
      const body = { mfa_token, totp: { token: totp?.token, code } };
      setAdded(await call("/auth/second-factor/enrolment", body));
    });
  };
  return (
    <form className="auth-form" onSubmit={submit}>
      <h2>{t.enrolTitle}</h2>
      <p className="quiet">{t.enrolAbout}</p>
      {totp && (
        <>
          <img
            className="qr"
            alt=""
            src={`data:image/svg+xml,${encodeURIComponent(renderSVG(totp.uri))}`}
          />
          <p className="quiet">
            {t.enrolKey} <code>{totp.secret}</code>
          </p>
        </>
      )}
      <Field
        label={t.code}
        name="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        pattern="\d{6}"
        required
      />
      <Wrong text={wrong} />
      <button type="submit" className="primary" disabled={busy || !totp}>
        {t.goOn}
      </button>
    </form>
  );
}
