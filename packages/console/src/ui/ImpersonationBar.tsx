import { useEffect, useState } from "react";
import { cookieClient, useApiContext } from "../lib/context.tsx";
import { useText } from "../lib/i18n.ts";
import { impersonationDetails } from "../lib/impersonation.ts";
import { useMe } from "../lib/me.ts";
import { consoleUrl } from "../lib/place.ts";
import { Icon } from "./Icon.tsx";
import { texts } from "./texts.ts";

/** Says on every screen of the tab, and on paper, that somebody else is at work here than it seems. */
export function ImpersonationBar() {
  const { impersonation } = useApiContext();
  if (impersonation === undefined) return null;
  return <Bar id={impersonation} />;
}

function Bar({ id }: { readonly id: string }) {
  const t = useText(texts);
  const { user, tenant } = useMe();
  const { reason, endsAt } = impersonationDetails(id);
  const left = useSecondsUntil(endsAt);
  const stop = async () => {
    await cookieClient.delete("/platform/impersonations/{id}", { params: { path: { id } } });
    window.close();
    // A tab that a person has opened can't be closed by its page.
    location.assign(consoleUrl(tenant ? `p/tenants/${tenant.key}` : "p"));
  };
  const name = [user.first_name, user.last_name].join(" ").trim();
  return (
    <section className="impersonation" aria-label={t.actAs}>
      <Icon name="person" />
      <span>
        {t.actAs} <strong>{name ? `${name} (${user.email})` : user.email}</strong>
        {tenant && ` · ${tenant.name}`}
        {reason && ` · “${reason}”`}
      </span>
      {left !== undefined && <span className="left">{t.countdown(clock(left))}</span>}
      <span className="sr-only" aria-live="polite">
        {left === 300 || left === 60 ? t.countdown(clock(left)) : ""}
      </span>
      <button type="button" onClick={() => void stop()}>
        {t.stop}
      </button>
    </section>
  );
}

const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

function useSecondsUntil(end: number | undefined): number | undefined {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return end === undefined ? undefined : Math.max(0, Math.round((end - now) / 1_000));
}
