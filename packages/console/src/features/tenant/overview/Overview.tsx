import { Link } from "@tanstack/react-router";
import { useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import type { IconName } from "../../../lib/icons.ts";
import { useMay, useMe } from "../../../lib/me.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { ScreenFrame, Time } from "../../../ui/parts.tsx";
import { Quotas } from "../../../ui/UsagePlots.tsx";

const texts = defineTexts({
  en: {
    checklist: "To begin with",
    checkData: "Add the first contact",
    checkDomain: "Claim your e-mail domain, so that colleagues join by themselves",
    checkHost: "Serve it at your own host",
    checkInvite: "Invite somebody",
    checkProvider: "Let people sign in with your identity provider",
    hello: (name: string) => `Welcome, ${name}`,
    noAudit: "Nothing was recorded yet.",
    recently: "What happened lately",
    seeAll: "All of it",
    title: "Overview",
  },
  de: {
    checklist: "Für den Anfang",
    checkData: "Den ersten Kontakt anlegen",
    checkDomain: "Ihre E-Mail-Domain anmelden, damit Kollegen selbst beitreten",
    checkHost: "Unter einem eigenen Host anbieten",
    checkInvite: "Jemanden einladen",
    checkProvider: "Anmelden über Ihren Identitätsanbieter",
    hello: (name: string) => `Willkommen, ${name}`,
    noAudit: "Noch ist nichts verzeichnet.",
    recently: "Was zuletzt geschah",
    seeAll: "Alles",
    title: "Überblick",
  },
});

const mostEvents = 8;

export default function Overview() {
  const t = useText(texts);
  const may = useMay();
  const { tenant } = useApiContext();
  const { user, tenant: summary } = useMe();
  const id = summary?.id ?? tenant ?? "";
  const usage = useGet(
    ["/usage", id],
    (api, signal) => api.get("/tenants/{id}/usage", { params: { path: { id } }, signal }),
    { when: may("usage:read") },
  );
  const audit = useGet(
    ["/audit", "latest"],
    (api, signal) => api.get("/audit", { params: { query: { limit: 50 } }, signal }),
    { when: may("audit:read") },
  );
  // Each tab that is opened issues a token: that is in the whole log.
  const events = audit.data?.items.filter(({ action }) => action !== "auth.tenant_token_issued");
  return (
    <ScreenFrame title={t.hello(user.first_name || user.email)}>
      <Checklist />
      {usage.data && usage.data.quotas.length > 0 && <Quotas quotas={usage.data.quotas} />}
      {events && (
        <div className="panel">
          <h2>{t.recently}</h2>
          {events.length === 0 && <p className="quiet">{t.noAudit}</p>}
          <ul className="events">
            {events.slice(0, mostEvents).map((entry) => (
              <li key={entry.id}>
                <span className="mono">{entry.action}</span>
                <span className="quiet">{entry.actor_name ?? ""}</span>
                <Time at={entry.at} />
              </li>
            ))}
          </ul>
          <Link to={`/t/${tenant}/audit`}>{t.seeAll}</Link>
        </div>
      )}
    </ScreenFrame>
  );
}

interface Step {
  readonly name: string;
  readonly icon: IconName;
  readonly to: string;
  readonly permission: string;
}

/** What is worth doing first; each leads to its screen. */
function Checklist() {
  const t = useText(texts);
  const may = useMay();
  const { tenant } = useApiContext();
  const steps: readonly Step[] = [
    { name: t.checkInvite, icon: "users", to: "invitations", permission: "users:write" },
    { name: t.checkData, icon: "data", to: "data/contacts", permission: "contacts:write" },
    { name: t.checkHost, icon: "globe", to: "hosts", permission: "tenants:manage" },
    { name: t.checkProvider, icon: "key", to: "sign-in", permission: "identity-providers:write" },
  ];
  const open = steps.filter(({ permission }) => may(permission));
  if (open.length === 0) return null;
  return (
    <div className="panel" style={{ marginBottom: 16 }}>
      <h2>{t.checklist}</h2>
      <ul className="steps">
        {open.map((step) => (
          <li key={step.to}>
            <Link to={`/t/${tenant}/${step.to}`}>
              <Icon name={step.icon} /> {step.name}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
