import type { Schemas } from "@insulae/client";
import { useNavigate } from "@tanstack/react-router";
import { Descriptions, Popconfirm } from "antd";
import { lazy, Suspense, useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { CopyButton } from "../../../ui/CopyButton.tsx";
import { Json, Pill, ScreenFrame } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { ProviderSteps } from "./NewProvider.tsx";
import { texts } from "./texts.ts";

const EditProvider = lazy(() => import("./EditProvider.tsx"));

export function Provider({ id }: { readonly id: string }) {
  const t = useText(texts);
  const { tenant } = useApiContext();
  const navigate = useNavigate();
  const [{ step }, filter] = useFilters();
  const [editing, setEditing] = useState(false);
  const params = { path: { id } };
  const changes = { changes: ["/identity-providers"] };
  const found = useGet(["/identity-providers", id], (api, signal) =>
    api.get("/identity-providers/{id}", { params, signal }),
  );
  const toggle = useAct(
    (api, seen: Schemas["IdentityProvider"]) =>
      api.patch("/identity-providers/{id}", {
        params,
        body: { enabled: !seen.enabled },
        ifMatch: seen,
      }),
    changes,
  );
  const remove = useAct(async (api, _: undefined) => {
    await api.delete("/identity-providers/{id}", { params });
    await navigate({ to: `/t/${tenant}/identity-providers` });
  }, changes);
  if (found.error) return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton />;
  const provider = found.data;
  const failure = toggle.error ?? remove.error;
  const inWizard = step !== undefined && !provider.enabled;
  return (
    <ScreenFrame
      title={
        <>
          {provider.name}{" "}
          <Pill kind={provider.enabled ? "good" : "warn"}>
            {provider.enabled ? t.enabled : t.disabled}
          </Pill>
        </>
      }
      about={<span className="mono">{provider.issuer}</span>}
      actions={
        <>
          <ActionButton
            operation="patch /identity-providers/{id}"
            {...(!provider.enabled && { type: "primary" as const })}
            loading={toggle.isPending}
            onClick={() =>
              toggle.mutate(provider, { onSuccess: () => filter({ step: undefined }) })
            }
          >
            {provider.enabled ? t.disable : t.enable}
          </ActionButton>
          <Popconfirm
            title={t.remove}
            description={t.removeAbout(provider.name)}
            onConfirm={() => remove.mutate(undefined)}
          >
            <ActionButton danger operation="delete /identity-providers/{id}">
              {t.remove}
            </ActionButton>
          </Popconfirm>
        </>
      }
    >
      {failure && <Problem error={failure} />}
      {inWizard && <ProviderSteps at={2} />}
      <div className="panel">
        <h2>{t.stepRedirects}</h2>
        <p className="quiet">{t.redirects}</p>
        <ul className="uris">
          {provider.redirect_uris.map((uri) => (
            <li key={uri} className="mono">
              {uri} <CopyButton text={uri} name={t.stepRedirects} />
            </li>
          ))}
        </ul>
        {!provider.enabled && <p className="quiet">{t.enableAbout}</p>}
      </div>
      <div className="panel">
        {editing ? (
          <Suspense fallback={<Skeleton />}>
            <EditProvider provider={provider} onDone={() => setEditing(false)} />
          </Suspense>
        ) : (
          <>
            <Settings provider={provider} />
            <div className="actions spaced">
              <ActionButton
                operation="patch /identity-providers/{id}"
                onClick={() => setEditing(true)}
              >
                {t.edit}
              </ActionButton>
            </div>
          </>
        )}
      </div>
    </ScreenFrame>
  );
}

function Settings({ provider }: { readonly provider: Schemas["IdentityProvider"] }) {
  const t = useText(texts);
  const yes = (value: boolean) => (value ? t.yes : t.no);
  const { role_mapping, second_factor_acr } = provider;
  return (
    <>
      <Descriptions
        column={{ xs: 1, lg: 2 }}
        items={[
          { key: "client", label: t.clientId, children: provider.client_id },
          {
            key: "domains",
            label: t.allowedDomains,
            children: provider.allowed_domains.join(", ") || "–",
          },
          { key: "create", label: t.createUsers, children: yes(provider.create_users) },
          { key: "role", label: t.defaultRole, children: t[provider.default_role] },
          { key: "email", label: t.trustEmail, children: yes(provider.trust_email) },
          { key: "factor", label: t.trustFactor, children: yes(provider.trust_second_factor) },
          { key: "update", label: t.updateRoles, children: yes(provider.update_roles) },
        ]}
      />
      {(role_mapping || second_factor_acr.length > 0) && (
        <>
          <h3>{t.advanced}</h3>
          <Json value={{ role_mapping, second_factor_acr }} />
        </>
      )}
    </>
  );
}
