import type { Schemas } from "@insulae/client";
import { lazy, Suspense, useState } from "react";
import { useGet } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { Pill } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";

const NewTemplate = lazy(() => import("./NewTemplate.tsx"));

export function SystemMails() {
  const t = useText(texts);
  const [, change] = useFilters();
  const [chosen, setChosen] = useState<Schemas["SystemTemplate"]>();
  const mails = useGet(["/notifications/templates", "system"], (api, signal) =>
    api.get("/notifications/templates/system", { signal }),
  );
  if (mails.error) return <Problem error={mails.error} onRetry={() => void mails.refetch()} />;
  if (!mails.data) return <Skeleton />;
  return (
    <>
      <div className="screen-head">
        <p className="quiet about">{t.systemAbout}</p>
      </div>
      <ul className="cards">
        {mails.data.items.map((mail) => (
          <li key={mail.name}>
            <div className="screen-head flush">
              <span className="inline">
                <strong className="mono">{mail.name}</strong>
                {mail.overridden && <Pill kind="good">{t.overridden}</Pill>}
              </span>
              {!mail.overridden && (
                <div className="actions">
                  <ActionButton
                    operation="post /notifications/templates"
                    onClick={() => setChosen(mail)}
                  >
                    {t.override}
                  </ActionButton>
                </div>
              )}
            </div>
            <span className="quiet" lang="en">
              {mail.about}
            </span>
            <details>
              <summary>{mail.subject}</summary>
              <pre className="mail-text">{mail.body}</pre>
            </details>
          </li>
        ))}
      </ul>
      {chosen && (
        <Suspense>
          <NewTemplate
            initial={{
              name: chosen.name,
              type: "email",
              subject: chosen.subject,
              body: chosen.body,
            }}
            onMade={({ id }) => change({ tab: "templates", template: id })}
            onClose={() => setChosen(undefined)}
          />
        </Suspense>
      )}
    </>
  );
}
