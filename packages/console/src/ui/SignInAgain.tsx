import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { useText } from "../lib/i18n.ts";
import { consoleUrl } from "../lib/place.ts";
import { signedInAgain, useSessionIsOver } from "../lib/session.ts";
import { Dialog } from "./Dialog.tsx";
import { texts } from "./texts.ts";

const SignInForm = lazy(async () => ({
  default: (await import("../auth/SignInForm.tsx")).SignInForm,
}));

/** Over whatever was being done when the session ended: it goes on afterwards. */
export function SignInAgain() {
  const t = useText(texts);
  const cache = useQueryClient();
  const over = useSessionIsOver();
  if (!over) return null;
  const resume = () => {
    signedInAgain();
    void cache.invalidateQueries();
  };
  return (
    <Dialog title={t.signInAgain}>
      <p className="quiet">{t.signInAgainAbout}</p>
      <Suspense>
        <SignInForm onSignedIn={resume} />
      </Suspense>
      <p>
        <a href={consoleUrl("sign-in")} target="_blank" rel="noreferrer" onClick={resume}>
          {t.signInElsewhere}
        </a>
      </p>
    </Dialog>
  );
}
