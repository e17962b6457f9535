import type { Schemas } from "@insulae/client";
import { Link } from "@tanstack/react-router";
import { useGet } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { Pill, ScreenFrame } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { IsolationTag, StatusTag } from "../../../ui/tenant-tags.tsx";

const texts = defineTexts({
  en: {
    about:
      "Where on this server each tenant is. Deleted ones are here until their rows are erased.",
    answers: "answers",
    empty: "No tenant is on this server",
    isolation: "Isolation",
    key: "Key",
    name: "Name",
    place: "Database and schema",
    provisioning: "being made",
    silent: "does not answer",
    status: "Status",
  },
  de: {
    about: "Wo auf diesem Server jeder Mandant liegt. Gelöschte, bis ihre Zeilen ausgelöscht sind.",
    answers: "antwortet",
    empty: "Auf diesem Server liegt kein Mandant",
    isolation: "Isolation",
    key: "Schlüssel",
    name: "Name",
    place: "Datenbank und Schema",
    provisioning: "wird angelegt",
    silent: "antwortet nicht",
    status: "Status",
  },
});

export function Placements({ id }: { readonly id: string }) {
  const t = useText(texts);
  const params = { path: { id } };
  const server = useGet(["/servers", id], (api, signal) =>
    api.get("/servers/{id}", { params, signal }),
  );
  if (server.error) return <Problem error={server.error} onRetry={() => void server.refetch()} />;
  if (!server.data) return <Skeleton />;
  const { name, answers } = server.data;
  return (
    <ScreenFrame
      title={
        <>
          {name} <Pill kind={answers ? "good" : "bad"}>{answers ? t.answers : t.silent}</Pill>
        </>
      }
      about={t.about}
    >
      <ResourceList<Schemas["ServerTenant"]>
        of={`/servers/${id}/tenants`}
        label={name}
        read={(api, query, signal) =>
          api.get("/servers/{id}/tenants", {
            params: { ...params, query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={(tenant) => tenant.id}
        columns={[
          {
            title: t.name,
            render: (tenant) => (
              <Link
                to={`/p/tenants/${tenant.status === "deleted" ? tenant.id : tenant.key}`}
                className="cut"
              >
                {tenant.name}
              </Link>
            ),
          },
          { title: t.key, render: ({ key }) => <span className="mono">{key}</span> },
          {
            title: t.status,
            render: ({ status }) =>
              status === "provisioning" ? (
                <Pill>{t.provisioning}</Pill>
              ) : (
                <StatusTag status={status} />
              ),
          },
          { title: t.isolation, render: ({ isolation }) => <IsolationTag isolation={isolation} /> },
          {
            title: t.place,
            render: ({ database, schema }) => (
              <span className="mono">
                {database}.{schema}
              </span>
            ),
          },
        ]}
        empty={<Empty title={t.empty} />}
      />
    </ScreenFrame>
  );
}
