/** Signing in by password or passkey, with a second factor where one is asked for. */
import type { Schemas } from "@insulae/client";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useText } from "../lib/i18n.ts";
import type { Asked } from "./asked.ts";
import { call, Refused } from "./call.ts";
import { Enrolment } from "./Enrolment.tsx";
import { Field, valuesOf } from "./Field.tsx";
import { hasPasskeys, showPasskey } from "./passkey.ts";
import { texts } from "./texts.ts";
import { useAttempt } from "./use-attempt.ts";
import { Wrong } from "./Wrong.tsx";
import "./auth.css";

type SignedIn = Schemas["SignedIn"];

export interface SignInFormProps {
  readonly onSignedIn: (signedIn: SignedIn) => void;
  /** The tenant that people sign in to; undefined: their account, or what the host says. */
  readonly tenant?: string | undefined;
  /** Whether to ask for a tenant as well. */
  readonly asksTenant?: boolean;
  /** Known already, such as an invitation's. */
  readonly email?: string;
}

const cookie = { session: "cookie" } as const;

export function SignInForm({ onSignedIn, tenant, asksTenant = false, email }: SignInFormProps) {
  const t = useText(texts);
  const { busy, wrong, attempt } = useAttempt();
  const [asked, setAsked] = useState<Asked>();

  const signIn = (work: () => Promise<SignedIn>) =>
    attempt(async () => {
      try {
        onSignedIn(await work());
      } catch (error) {
        if (!(error instanceof Refused && error.problem.code === "second_factor_required")) {
          throw error;
        }
        setAsked(error.problem as unknown as Asked); // the members that this code has
      }
    });
  usePasskeySuggestions((passkey) => {
    void signIn(() => call("/auth/passkey", { passkey, ...cookie, ...(tenant && { tenant }) }));
  });

  if (asked?.enrolment) return <Enrolment asked={asked} onSignedIn={onSignedIn} />;
  if (asked) return <SecondFactor asked={asked} onSignedIn={onSignedIn} />;

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { login = email ?? "", ...values } = valuesOf(event.currentTarget);
    const who = login.includes("@") ? { email: login } : { username: login };
    void signIn(() =>
      call("/auth/login", { ...who, ...(tenant && { tenant }), ...values, ...cookie }),
    );
  };
  return (
    <form className="auth-form" onSubmit={submit}>
      {email === undefined && (
        <Field
          label={t.emailOrUsername}
          name="login"
          autoComplete="username webauthn"
          autoCapitalize="none"
          required
          autoFocus
        />
      )}
      <Field
        label={t.password}
        name="password"
        type="password"
        autoComplete="current-password"
        required
      />
      {asksTenant && <Field label={t.tenant} name="tenant" autoComplete="organization" />}
      <Wrong text={wrong} />
      <button type="submit" className="primary" disabled={busy}>
        {t.signIn}
      </button>
    </form>
  );
}

/** Offers passkeys in the field for the name, where the browser can. */
function usePasskeySuggestions(use: (passkey: object) => void): void {
  const latest = useRef(use);
  latest.current = use;
  // Once for each page: asking costs a request.
  useEffect(() => {
    const { signal, abort } = abortable();
    void suggest(signal).then(
      (passkey) => passkey && !signal.aborted && latest.current(passkey),
      () => {}, // nobody has chosen one
    );
    return abort;
  }, []);
}

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

async function suggest(signal: AbortSignal): Promise<object | undefined> {
  if (!hasPasskeys() || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) {
    return undefined;
  }
  return showPasskey(await call("/auth/passkey/options", {}), signal);
}

interface FactorProps {
  readonly asked: Asked;
  readonly onSignedIn: (signedIn: SignedIn) => void;
}

function SecondFactor({ asked, onSignedIn }: FactorProps) {
  const t = useText(texts);
  const { busy, wrong, attempt } = useAttempt();
  const { mfa_token, methods } = asked;
  const send = (factor: object) =>
    attempt(async () => onSignedIn(await call("/auth/second-factor", { mfa_token, ...factor })));
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const code = (valuesOf(event.currentTarget).code ?? "").trim();
    void send(/^\d{6}$/.test(code) ? { code } : { recovery_code: code });
  };
  return (
    <form className="auth-form" onSubmit={submit}>
      <p className="quiet">{t.codeOrRecovery}</p>
      <Field label={t.code} name="code" autoComplete="one-time-code" required autoFocus />
      <Wrong text={wrong} />
      <button type="submit" className="primary" disabled={busy}>
        {t.signIn}
      </button>
      {methods.includes("passkey") && hasPasskeys() && (
        <button
          type="button"
          onClick={() =>
            void attempt(async () => {
              const passkey = await showPasskey(asked.passkey);
              onSignedIn(await call("/auth/second-factor", { mfa_token, passkey }));
            })
          }
        >
          {t.addPasskey}
        </button>
      )}
    </form>
  );
}
