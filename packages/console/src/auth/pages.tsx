/** The pages that people reach without a session: by themselves, or by a mail's link. */
import type { Schemas } from "@insulae/client";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { useText } from "../lib/i18n.ts";
import { consoleUrl, serverUrl } from "../lib/place.ts";
import type { ServerContext } from "../lib/server.ts";
import { call } from "./call.ts";
import { Field, valuesOf } from "./Field.tsx";
import { startProvider, takeVerifier } from "./provider.ts";
import { SignInForm } from "./SignInForm.tsx";
import { texts } from "./texts.ts";
import { useAttempt } from "./use-attempt.ts";
import { Wrong } from "./Wrong.tsx";

export interface PageProps {
  readonly server: ServerContext | undefined;
  /** The link's token, if there is one. */
  readonly token: string;
}

const enter = (): void => location.assign(returnTo());

/** Where somebody wanted to go: a path of the console, and nothing else. */
function returnTo(): string {
  const wanted = new URL(new URLSearchParams(location.search).get("to") ?? "", document.baseURI);
  return wanted.href.startsWith(document.baseURI) ? wanted.href : document.baseURI;
}

export function SignIn({ server }: PageProps) {
  const t = useText(texts);
  const { wrong, attempt } = useAttempt();
  const usesPassword = server?.password_login !== false;
  const providers = server?.providers ?? [];
  return (
    <>
      <h1>{server?.tenant?.name ?? t.signInTitle}</h1>
      {usesPassword && <SignInForm onSignedIn={enter} asksTenant={server?.tenant === null} />}
      {usesPassword && providers.length > 0 && <div className="or">{t.or}</div>}
      {providers.length > 0 && (
        <div className="stack">
          {providers.map(({ key, name }) => (
            <button
              key={key}
              type="button"
              className="auth-button"
              onClick={() => void attempt(() => startProvider(key))}
            >
              {t.with(name)}
            </button>
          ))}
          <Wrong text={wrong} />
        </div>
      )}
      <div className="links">
        <a href={consoleUrl("forgot-password")}>{t.forgot}</a>
        {server?.registration && <a href={consoleUrl("register")}>{t.register}</a>}
      </div>
    </>
  );
}

/** A form of which only its answer is left once it is done. */
function Form({
  title,
  about,
  button,
  done,
  submit,
  next,
  children,
}: {
  readonly title: string;
  readonly about?: string;
  readonly button: string;
  readonly done: string;
  readonly submit: (values: Readonly<Record<string, string>>) => Promise<unknown>;
  readonly next?: ReactNode;
  readonly children?: ReactNode;
}) {
  const { busy, wrong, attempt } = useAttempt();
  const [isDone, setDone] = useState(false);
  const submitted = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = valuesOf(event.currentTarget);
    void attempt(async () => {
      await submit(values);
      setDone(true);
    });
  };
  return (
    <>
      <h1>{title}</h1>
      {isDone ? (
        <p role="status">{done}</p>
      ) : (
        <form className="auth-form" onSubmit={submitted}>
          {about && <p className="quiet">{about}</p>}
          {children}
          <Wrong text={wrong} />
          <button type="submit" className="primary" disabled={busy}>
            {button}
          </button>
        </form>
      )}
      {isDone && next}
    </>
  );
}

function ToSignIn() {
  const t = useText(texts);
  return (
    <a className="auth-button primary" href={consoleUrl("sign-in")}>
      {t.signIn}
    </a>
  );
}

function Broken({ title }: { readonly title: string }) {
  const t = useText(texts);
  return (
    <>
      <h1>{title}</h1>
      <Wrong text={t.broken} />
      <ToSignIn />
    </>
  );
}

export function VerifyEmail({ token }: PageProps) {
  const t = useText(texts);
  if (token === "") return <Broken title={t.verifyTitle} />;
  return (
    <Form
      title={t.verifyTitle}
      about={t.verifyAbout}
      button={t.verify}
      done={t.verifyDone}
      submit={() => call("/auth/verify-email", { token })}
      next={<ToSignIn />}
    />
  );
}

export function PasswordReset({ token }: PageProps) {
  const t = useText(texts);
  if (token === "") return <Broken title={t.resetTitle} />;
  return (
    <Form
      title={t.resetTitle}
      button={t.set}
      done={t.resetDone}
      submit={({ password }) => call("/auth/password-reset", { token, password })}
      next={<ToSignIn />}
    >
      <Field
        label={t.newPassword}
        name="password"
        type="password"
        autoComplete="new-password"
        required
      />
    </Form>
  );
}

export function ForgotPassword({ server }: PageProps) {
  const t = useText(texts);
  return (
    <Form
      title={t.forgotTitle}
      about={t.forgotAbout}
      button={t.send}
      done={t.forgotDone}
      submit={(values) => call("/auth/password-reset-request", values)}
      next={<CapturedMails server={server} />}
    >
      <Field label={t.email} name="email" type="email" autoComplete="username" required />
      {server?.tenant === null && <Field label={t.tenant} name="tenant" />}
    </Form>
  );
}

export function Register({ server }: PageProps) {
  const t = useText(texts);
  const register = async (values: object) => {
    const answer = await call<object>("/auth/register", { ...values, session: "cookie" });
    if ("user" in answer && "expires_in" in answer) enter();
  };
  return (
    <Form
      title={t.registerTitle}
      button={t.register}
      done={t.registerDone}
      submit={register}
      next={<CapturedMails server={server} />}
    >
      <Field label={t.email} name="email" type="email" autoComplete="username" required />
      <Field
        label={t.newPassword}
        name="password"
        type="password"
        autoComplete="new-password"
        required
      />
      <Field label={t.firstName} name="first_name" autoComplete="given-name" />
      <Field label={t.lastName} name="last_name" autoComplete="family-name" />
    </Form>
  );
}

function CapturedMails({ server }: Pick<PageProps, "server">) {
  const t = useText(texts);
  return server?.captured_mail ? <a href={`${serverUrl}/dev/mails`}>{t.capturedMails}</a> : null;
}

export function Invitation({ token }: PageProps) {
  const t = useText(texts);
  const { wrong, attempt } = useAttempt();
  const [invitation, setInvitation] = useState<Schemas["InvitationPreview"]>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (token === "") return;
    void attempt(async () =>
      setInvitation(await call(`/invitations/preview?${new URLSearchParams({ token })}`)),
    );
  }, []);
  if (token === "") return <Broken title={t.invitationTitle} />;
  const accept = async (values: object) => {
    await call("/invitations/accept", { token, ...values, session: "cookie" });
    enter();
  };
  if (!invitation) {
    return (
      <>
        <h1>{t.invitationTitle}</h1>
        <Wrong text={wrong} />
      </>
    );
  }
  const { email, tenant, role, has_account } = invitation;
  const about = t.invitationAbout(email, tenant.name, role);
  if (has_account) {
    return (
      <>
        <h1>{t.invitationTitle}</h1>
        <p className="quiet">
          {about} {t.currentPassword}:
        </p>
        <SignInForm email={email} onSignedIn={() => void attempt(() => acceptSignedIn(token))} />
        <Wrong text={wrong} />
      </>
    );
  }
  return (
    <Form title={t.invitationTitle} about={about} button={t.accept} done={t.done} submit={accept}>
      <Field
        label={t.newPassword}
        name="password"
        type="password"
        autoComplete="new-password"
        required
      />
      <Field label={t.firstName} name="first_name" autoComplete="given-name" />
      <Field label={t.lastName} name="last_name" autoComplete="family-name" />
    </Form>
  );
}

/** As the account that has just signed in by its cookie, whose CSRF token the client knows how to get. */
async function acceptSignedIn(token: string): Promise<void> {
  const { cookieClient } = await import("../lib/context.tsx");
  await cookieClient.post("/invitations/accept", { body: { token, session: "cookie" } });
  enter();
}

/** What an outside provider sends people back to. */
export function Callback() {
  const t = useText(texts);
  const { wrong, attempt } = useAttempt();
  const given = new URLSearchParams(location.search);
  const refused = given.get("error_description") ?? given.get("error");
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (refused) return;
    void attempt(async () => {
      const code_verifier = takeVerifier();
      await call("/auth/oidc/exchange", {
        code: given.get("code"),
        code_verifier,
        session: "cookie",
      });
      location.replace(document.baseURI);
    });
  }, []);
  return (
    <>
      <h1>{t.signInTitle}</h1>
      <Wrong text={refused ?? wrong} />
      {refused || wrong ? <ToSignIn /> : <p role="status">{t.begin}</p>}
    </>
  );
}

/** The link that the server prints when it starts in development. */
export function Start() {
  const t = useText(texts);
  const { wrong, attempt } = useAttempt();
  const [token] = useState(() => location.hash.slice(1));
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    history.replaceState(null, "", location.pathname);
    void attempt(async () => {
      await call("/auth/start", { token });
      location.replace(consoleUrl("p/lab"));
    });
  }, []);
  return (
    <>
      <h1>{t.startTitle}</h1>
      <Wrong text={wrong && t.startAbout} />
      {wrong ? (
        <>
          <p className="quiet">{t.startHelp}</p>
          <ToSignIn />
        </>
      ) : (
        <p role="status">{t.begin}</p>
      )}
    </>
  );
}
