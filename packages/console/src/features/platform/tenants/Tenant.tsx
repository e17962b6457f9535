import type { Schemas } from "@insulae/client";
import { Link, useNavigate } from "@tanstack/react-router";
import { App, Button, Descriptions, Form, Input, Tabs } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { ConfirmByKey } from "../../../ui/ConfirmByKey.tsx";
import { CopyButton } from "../../../ui/CopyButton.tsx";
import { EditForm } from "../../../ui/EditForm.tsx";
import { Id, Json, NumberText, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { IsolationTag, StatusTag } from "../../../ui/tenant-tags.tsx";
import { UsagePlots } from "../../../ui/UsagePlots.tsx";
import { texts } from "./texts.ts";
import { Users } from "./Users.tsx";

type Shown = Schemas["Tenant"];
type Detail = Schemas["TenantDetail"];

export default function Tenant({ tenant }: { readonly tenant: string }) {
  const t = useText(texts);
  const [{ tab = "overview" }, change] = useFilters();
  const found = useGet(["/tenants", tenant], (api, signal) =>
    api.get("/platform/tenants/{id}", { params: { path: { id: tenant } }, signal }),
  );
  if (found.error) return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton />;
  const shown = found.data;
  return (
    <ScreenFrame
      title={
        <>
          {shown.name} <StatusTag status={shown.status} />
        </>
      }
      about={
        <>
          <span className="mono">{shown.key}</span> <CopyButton text={shown.key} name={t.key} />
        </>
      }
      actions={shown.status === "deleted" ? <Restore tenant={shown} /> : <Actions tenant={shown} />}
    >
      {shown.status === "deleted" ? (
        <>
          <p className="bad deleted">
            {t.deletedAbout} <Time at={shown.deleted_at} />. {t.eraseAbout}{" "}
            <Time at={shown.erase_at} />.
          </p>
          <Overview tenant={shown} />
        </>
      ) : (
        <Tabs
          activeKey={tab}
          onChange={(next) => change({ tab: next })}
          items={[
            { key: "overview", label: t.overview, children: <Overview tenant={shown} /> },
            { key: "usage", label: t.usage, children: <UsagePlots tenant={shown.id} /> },
            { key: "users", label: t.users, children: <Users tenant={shown} /> },
            { key: "settings", label: t.settings, children: <Settings id={shown.id} /> },
          ]}
        />
      )}
    </ScreenFrame>
  );
}

function Overview({ tenant }: { readonly tenant: Detail }) {
  const t = useText(texts);
  return (
    <div className="panel">
      <Descriptions
        column={{ xs: 1, md: 2 }}
        items={[
          { key: "id", label: "Id", children: <Id id={tenant.id} /> },
          { key: "plan", label: t.plan, children: tenant.plan },
          {
            key: "isolation",
            label: t.isolation,
            children: <IsolationTag isolation={tenant.isolation} />,
          },
          {
            key: "owner",
            label: t.owner,
            children: tenant.owner ? (
              <Link to={`/p/accounts/${tenant.owner.id}`}>{tenant.owner.email}</Link>
            ) : (
              "–"
            ),
          },
          {
            key: "place",
            label: t.placement,
            children: (
              <span className="mono">
                {tenant.placement.server}/{tenant.placement.database}.{tenant.placement.schema}
              </span>
            ),
          },
          {
            key: "migrations",
            label: t.migrations,
            children: <NumberText value={tenant.placement.version} />,
          },
          { key: "users", label: t.users, children: <NumberText value={tenant.users} /> },
          { key: "sessions", label: t.sessions, children: <NumberText value={tenant.sessions} /> },
          { key: "seen", label: t.lastSeen, children: <Time at={tenant.last_request_at} /> },
          { key: "hosts", label: t.hosts, children: tenant.hosts.join(", ") || "–" },
          { key: "created", label: t.created, children: <Time at={tenant.created_at} /> },
        ]}
      />
    </div>
  );
}

function Settings({ id }: { readonly id: string }) {
  const t = useText(texts);
  const { client } = useApiContext();
  const [editing, setEditing] = useState(false);
  const params = { path: { id } };
  // With the version that a change has to name.
  const found = useGet(["/tenants", id, "settings"], (api, signal) =>
    api.get("/tenants/{id}", { params, signal }),
  );
  const save = useAct(
    (api, { body, seen }: { readonly body: object; readonly seen: Shown }) =>
      api.patch("/tenants/{id}", { params, body, ifMatch: seen }),
    { changes: ["/tenants"] },
  );
  if (found.error) return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton />;
  const tenant = found.data;
  return (
    <>
      <div className="panel">
        {editing ? (
          <EditForm<Shown>
            item={tenant}
            names={["name", "plan"]}
            read={() => client.get("/tenants/{id}", { params })}
            save={(body, seen) => save.mutateAsync({ body, seen })}
            onDone={() => setEditing(false)}
          >
            <Form.Item name="name" label={t.name} rules={[{ required: true }]}>
              <Input maxLength={255} />
            </Form.Item>
            <Form.Item name="plan" label={t.plan} rules={[{ required: true }]}>
              <Input />
            </Form.Item>
          </EditForm>
        ) : (
          <>
            <Descriptions
              column={{ xs: 1, md: 2 }}
              items={[
                { key: "name", label: t.name, children: tenant.name },
                { key: "plan", label: t.plan, children: tenant.plan },
              ]}
            />
            <ActionButton operation="patch /tenants/{id}" onClick={() => setEditing(true)}>
              {t.edit}
            </ActionButton>
          </>
        )}
      </div>
      <h2 className="section">{t.allSettings}</h2>
      <Json value={tenant.settings} />
    </>
  );
}

/** Its rows are still there for a while. */
function Restore({ tenant }: { readonly tenant: Shown }) {
  const t = useText(texts);
  const { message } = App.useApp();
  const restore = useAct(
    (api, _: undefined) =>
      api.post("/platform/tenants/{id}/restore", { params: { path: { id: tenant.id } } }),
    { changes: ["/tenants"] },
  );
  return (
    <ActionButton
      type="primary"
      operation="post /platform/tenants/{id}/restore"
      loading={restore.isPending}
      onClick={() =>
        restore.mutate(undefined, { onError: (error) => void message.error(error.message, 10) })
      }
    >
      {t.restore}
    </ActionButton>
  );
}

function Actions({ tenant }: { readonly tenant: Shown }) {
  const t = useText(texts);
  const { modal, message } = App.useApp();
  const navigate = useNavigate();
  const [deleting, setDeleting] = useState(false);
  const path = { id: tenant.id };
  const changes = { changes: ["/tenants"] };
  const suspend = useAct(
    (api, _: undefined) => api.post("/tenants/{id}/suspend", { params: { path } }),
    changes,
  );
  const resume = useAct(
    (api, _: undefined) => api.post("/tenants/{id}/resume", { params: { path } }),
    changes,
  );
  const remove = useAct(async (api, _: undefined) => {
    await api.delete("/tenants/{id}", { params: { path } });
    // Before it is asked for anew.
    await navigate({ to: "/p/tenants" });
  }, changes);
  const failed = (error: Error) => void message.error(error.message, 10);

  const askSuspend = () =>
    void modal.confirm({
      title: t.suspend,
      content: t.suspendAbout(tenant.name),
      okText: t.suspend,
      onOk: () => suspend.mutateAsync(undefined).catch(failed),
    });
  return (
    <>
      <Link to={`/t/${tenant.key}`}>
        <Button>{t.toConsole}</Button>
      </Link>
      <Link to="/p/moves" search={{ new: "yes", for: tenant.key } as never}>
        <Button>{t.move}</Button>
      </Link>
      {tenant.status === "active" ? (
        <ActionButton operation="post /tenants/{id}/suspend" onClick={askSuspend}>
          {t.suspend}
        </ActionButton>
      ) : (
        <ActionButton
          operation="post /tenants/{id}/resume"
          loading={resume.isPending}
          onClick={() => resume.mutate(undefined, { onError: failed })}
        >
          {t.resume}
        </ActionButton>
      )}
      <ActionButton danger operation="delete /tenants/{id}" onClick={() => setDeleting(true)}>
        {t.deleteTenant}
      </ActionButton>
      {deleting && (
        <ConfirmByKey
          title={t.deleteTenant}
          about={t.deleteAbout(tenant.name)}
          word={tenant.key}
          onConfirm={() => remove.mutateAsync(undefined)}
          onClose={() => setDeleting(false)}
        />
      )}
    </>
  );
}
