import { useNavigate } from "@tanstack/react-router";
import { App, Button, Descriptions, Select } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { ConfirmByKey } from "../../../ui/ConfirmByKey.tsx";
import { Id, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";

const roles = ["owner", "admin", "manager", "user", "viewer"] as const;
type Role = (typeof roles)[number];
interface Change {
  readonly role?: Role;
  readonly is_active?: boolean;
}

export function User({ id }: { readonly id: string }) {
  const t = useText(texts);
  const may = useMay();
  const { tenant } = useApiContext();
  const navigate = useNavigate();
  const { message, modal } = App.useApp();
  const [removing, setRemoving] = useState(false);
  const params = { path: { id } };
  const found = useGet(["/users", id], (api, signal) => api.get("/users/{id}", { params, signal }));
  const mayWrite = may("users:write");
  const signIns = useGet(
    ["/users", id, "sign-ins"],
    (api, signal) => api.get("/users/sign-ins", { params: { query: { ids: id } }, signal }),
    { when: mayWrite },
  );
  const change = useAct(
    (api, body: Change) => {
      if (!found.data) throw new Error("it is not there yet");
      return api.patch("/users/{id}", { params, body, ifMatch: found.data });
    },
    { changes: ["/users"] },
  );
  const remove = useAct((api, _: undefined) => api.delete("/users/{id}", { params }), {
    changes: ["/users"],
    removes: ["/users", id],
  });
  const failed = (error: unknown) => {
    const { title, detail } = refusalOf(error);
    void message.error(detail ?? title, 10);
  };

  if (found.error) return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton />;
  const user = found.data;
  const name = `${user.first_name} ${user.last_name}`.trim() || user.email;
  const [signIn] = signIns.data?.items ?? [];
  const askDeactivate = () =>
    void modal.confirm({
      title: t.deactivate,
      content: t.deactivateAbout,
      okText: t.deactivate,
      onOk: () => change.mutateAsync({ is_active: false }).catch(failed),
    });
  return (
    <ScreenFrame
      title={name}
      about={user.email}
      actions={
        mayWrite && (
          <>
            {user.is_active ? (
              <Button onClick={askDeactivate}>{t.deactivate}</Button>
            ) : (
              <Button onClick={() => change.mutate({ is_active: true }, { onError: failed })}>
                {t.activate}
              </Button>
            )}
            {mayWrite && (
              <Button danger onClick={() => setRemoving(true)}>
                {t.remove}
              </Button>
            )}
          </>
        )
      }
    >
      <div className="panel">
        <Descriptions
          column={{ xs: 1, md: 2 }}
          items={[
            { key: "id", label: "Id", children: <Id id={user.id} /> },
            {
              key: "role",
              label: t.role,
              children: (
                <Select
                  aria-label={t.role}
                  disabled={!mayWrite}
                  loading={change.isPending}
                  style={{ minWidth: 130 }}
                  value={user.role as Role}
                  options={roles.map((value) => ({ value, label: value }))}
                  onChange={(role) => change.mutate({ role }, { onError: failed })}
                />
              ),
            },
            { key: "state", label: t.state, children: user.is_active ? t.active : t.inactive },
            { key: "verified", label: t.verified, children: user.email_verified ? t.yes : t.no },
            { key: "joined", label: t.joined, children: <Time at={user.created_at} /> },
            ...(signIn
              ? [
                  { key: "seen", label: t.lastSeen, children: <Time at={signIn.last_seen_at} /> },
                  { key: "factor", label: t.factor, children: signIn.has_factor ? t.yes : t.no },
                  { key: "linked", label: t.linked, children: signIn.linked ? t.yes : t.no },
                ]
              : []),
          ]}
        />
      </div>
      {mayWrite && <Sessions id={id} />}
      {removing && (
        <ConfirmByKey
          title={t.remove}
          about={t.removeAbout(name)}
          word={user.email}
          onConfirm={async () => {
            await remove.mutateAsync(undefined);
            void navigate({ to: `/t/${tenant}/users` });
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </ScreenFrame>
  );
}

function Sessions({ id }: { readonly id: string }) {
  const t = useText(texts);
  const params = { path: { id } };
  const sessions = useGet(["/users", id, "sessions"], (api, signal) =>
    api.get("/users/{id}/sessions", { params, signal }),
  );
  const end = useAct((api, _: undefined) => api.delete("/users/{id}/sessions", { params }), {
    changes: ["/users"],
  });
  if (sessions.error) return <Problem error={sessions.error} />;
  const items = sessions.data?.items ?? [];
  return (
    <div className="panel">
      <div className="screen-head">
        <h2>{t.sessions}</h2>
        <div className="actions">
          <Button
            disabled={items.length === 0}
            loading={end.isPending}
            onClick={() => end.mutate(undefined)}
          >
            {t.endSessions}
          </Button>
        </div>
      </div>
      {items.length === 0 && <p className="quiet">{t.noSessions}</p>}
      <ul className="events">
        {items.map((session) => (
          <li key={session.id}>
            <span className="cut">{session.user_agent ?? "–"}</span>
            <span className="quiet mono">{session.ip}</span>
            <Time at={session.last_used_at} />
          </li>
        ))}
      </ul>
      {end.error && <Problem error={end.error} />}
    </div>
  );
}
