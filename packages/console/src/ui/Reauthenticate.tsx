import type { Client } from "@insulae/client";
import { type FormEvent, useState } from "react";
import { Field, valuesOf } from "../auth/Field.tsx";
import { hasPasskeys, showPasskey } from "../auth/passkey.ts";
import { Wrong } from "../auth/Wrong.tsx";
import { useText } from "../lib/i18n.ts";
import { refusalOf } from "../lib/problem.ts";
import { useProofAsked } from "../lib/proof.ts";
import { Dialog } from "./Dialog.tsx";
import { texts } from "./texts.ts";

/** Over what was being done: it goes on once it is known again who is there. */
export function Reauthenticate() {
  const t = useText(texts);
  const asked = useProofAsked();
  if (!asked) return null;
  return (
    <Dialog title={t.proof} onClose={asked.cancel}>
      <ProofForm client={asked.client} onDone={asked.done} />
    </Dialog>
  );
}

interface Props {
  readonly client: Client;
  readonly onDone: () => void;
}

function ProofForm({ client, onDone }: Props) {
  const t = useText(texts);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const prove = async (proof: () => Promise<object>) => {
    setBusy(true);
    setWrong(undefined);
    try {
      await client.post("/auth/reauthenticate", { body: await proof() });
      onDone();
    } catch (error) {
      const { title, detail } = refusalOf(error);
      setWrong(detail ?? title);
    } finally {
      setBusy(false);
    }
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = (valuesOf(event.currentTarget).proof ?? "").trim();
    void prove(async () => (/^\d{6}$/.test(typed) ? { code: typed } : { password: typed }));
  };
  const passkey = async () => ({
    passkey: await showPasskey(await client.post("/auth/reauthenticate/passkey")),
  });
  return (
    <form className="auth-form" onSubmit={submit}>
      <p className="quiet">{t.proofAbout}</p>
      <Field
        label={t.proofField}
        name="proof"
        type="password"
        autoComplete="current-password"
        required
        autoFocus
      />
      <Wrong text={wrong} />
      <button type="submit" className="primary" disabled={busy}>
        {t.confirm}
      </button>
      {hasPasskeys() && (
        <button type="button" disabled={busy} onClick={() => void prove(passkey)}>
          {t.proofPasskey}
        </button>
      )}
    </form>
  );
}
