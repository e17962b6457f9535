import type { Client, Schemas } from "@insulae/client";
import { Link } from "@tanstack/react-router";
import { App } from "antd";
import type { OperationName } from "../../../lib/allowed.ts";
import { useAct, useGet } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { useMe } from "../../../lib/me.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { Id, Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { StatusTag } from "../../../ui/tenant-tags.tsx";
import { texts } from "./texts.ts";

export function Account({ id }: { readonly id: string }) {
  const t = useText(texts);
  const found = useGet(["/platform/accounts", id], (api, signal) =>
    api.get("/platform/accounts/{id}", { params: { path: { id } }, signal }),
  );
  if (found.error) return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton />;
  const account = found.data;
  return (
    <ScreenFrame
      title={
        <>
          {account.email}{" "}
          <Pill kind={account.is_active ? "good" : "bad"}>
            {account.is_active ? t.active : t.inactive}
          </Pill>
          <Pill kind={account.email_verified ? "good" : "warn"}>
            {account.email_verified ? t.verified : t.notVerified}
          </Pill>
          {account.platform_admin && <Pill>{t.administrator}</Pill>}
        </>
      }
      about={
        <span className="inline">
          {`${account.first_name} ${account.last_name}`.trim()} <Id id={account.id} /> {t.created}{" "}
          <Time at={account.created_at} />
        </span>
      }
      actions={<Actions account={account} />}
    >
      <Details account={account} />
    </ScreenFrame>
  );
}

function Details({ account }: { readonly account: Schemas["AccountDetail"] }) {
  const t = useText(texts);
  const { memberships, factors, sessions } = account;
  return (
    <>
      <h2 className="section">{t.tenants}</h2>
      {memberships.length === 0 && <p className="quiet">{t.noTenants}</p>}
      <ul className="cards">
        {memberships.map(({ id, key, name, status, owner, created_at }) => (
          <li key={id}>
            <span className="inline">
              <Link to={`/p/tenants/${key}`}>
                <strong>{name}</strong>
              </Link>
              <span className="mono quiet">{key}</span>
              <StatusTag status={status} />
              {owner && <Pill>{t.owner}</Pill>}
              <span className="quiet">
                {t.created} <Time at={created_at} />
              </span>
            </span>
          </li>
        ))}
      </ul>
      <h2 className="section">{t.factors}</h2>
      {factors.length === 0 && <p className="quiet">{t.noFactors}</p>}
      <ul className="cards">
        {factors.map(({ id, kind, name, created_at }) => (
          <li key={id}>
            <span className="inline">
              <strong>{name}</strong> <Pill>{kind}</Pill>
              <span className="quiet">
                {t.created} <Time at={created_at} />
              </span>
            </span>
          </li>
        ))}
      </ul>
      <h2 className="section">{t.sessions}</h2>
      {sessions.length === 0 && <p className="quiet">{t.noSessions}</p>}
      <ul className="cards">
        {sessions.map(({ id, ip, user_agent, amr, last_used_at }) => (
          <li key={id}>
            <span className="inline">
              <span className="mono">{ip ?? "–"}</span>
              <span className="quiet">{amr.join(", ")}</span>
              <Time at={last_used_at} />
            </span>
            <span className="quiet">{user_agent}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

interface Action {
  readonly name: string;
  readonly about?: string;
  readonly operation: OperationName;
  readonly danger?: boolean;
  readonly act: (api: Client) => Promise<unknown>;
}

/** Nobody does these to the account that they are signed in with. */
function Actions({ account }: { readonly account: Schemas["AccountDetail"] }) {
  const t = useText(texts);
  const { user } = useMe();
  const { modal, message } = App.useApp();
  const params = { path: { id: account.id } };
  const run = useAct((api, { act }: Action) => act(api), { changes: ["/platform/accounts"] });
  if (account.id === user.id) return null;
  const actions: readonly Action[] = [
    account.platform_admin
      ? {
          name: t.removeAdmin,
          operation: "delete /platform/accounts/{id}/platform-admin",
          act: (api) => api.delete("/platform/accounts/{id}/platform-admin", { params }),
        }
      : {
          name: t.makeAdmin,
          about: t.makeAdminAbout,
          operation: "put /platform/accounts/{id}/platform-admin",
          act: (api) => api.put("/platform/accounts/{id}/platform-admin", { params }),
        },
    ...(account.sessions.length > 0
      ? [
          {
            name: t.endSessions,
            operation: "delete /platform/accounts/{id}/sessions" as const,
            act: (api: Client) => api.delete("/platform/accounts/{id}/sessions", { params }),
          },
        ]
      : []),
    ...(account.factors.length > 0
      ? [
          {
            name: t.resetFactors,
            about: t.resetFactorsAbout,
            operation: "delete /accounts/{id}/factors" as const,
            danger: true,
            act: (api: Client) => api.delete("/accounts/{id}/factors", { params }),
          },
        ]
      : []),
    {
      name: account.is_active ? t.deactivate : t.reactivate,
      ...(account.is_active && { about: t.deactivateAbout }),
      operation: "patch /platform/accounts/{id}",
      danger: account.is_active,
      act: (api) =>
        api.patch("/platform/accounts/{id}", { params, body: { is_active: !account.is_active } }),
    },
  ];
  const ask = (action: Action) =>
    void modal.confirm({
      title: action.name,
      content: action.about ?? account.email,
      okText: action.name,
      okButtonProps: { danger: action.danger ?? false },
      onOk: () =>
        // The dialog is gone when a proof of identity is asked for.
        void run.mutateAsync(action).catch((error) => {
          const { title, detail } = refusalOf(error);
          void message.error(detail ?? title, 10);
        }),
    });
  return actions.map((action) => (
    <ActionButton
      key={action.name}
      operation={action.operation}
      danger={action.danger ?? false}
      loading={run.isPending && run.variables.name === action.name}
      onClick={() => ask(action)}
    >
      {action.name}
    </ActionButton>
  ));
}
