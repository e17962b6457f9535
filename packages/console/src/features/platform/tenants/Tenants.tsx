import { Link, useParams } from "@tanstack/react-router";
import { Button } from "antd";
import { lazy, Suspense } from "react";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";
import { IsolationTag, StatusTag } from "../../../ui/tenant-tags.tsx";
import { texts } from "./texts.ts";

// A list doesn't wait for forms and tabs.
const NewTenant = lazy(() => import("./NewTenant.tsx"));
const Tenant = lazy(() => import("./Tenant.tsx"));

export default function Tenants() {
  const { key } = useParams({ strict: false });
  return key === undefined ? <TenantList /> : <Tenant tenant={key} />;
}

function TenantList() {
  const t = useText(texts);
  const [search, change] = useFilters();
  const making = search.new !== undefined;
  const setMaking = (wanted: boolean) => change({ new: wanted ? "yes" : undefined });
  const create = (
    <Button
      type="primary"
      data-new
      icon={<Icon name="plus" size={16} />}
      onClick={() => setMaking(true)}
    >
      {t.newTenant}
    </Button>
  );
  return (
    <ScreenFrame title={t.title} about={t.about} actions={create}>
      <ResourceList
        of="/tenants"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/tenants", { params: { query: { limit: 50, ...query } as object }, signal })
        }
        rowKey={(tenant) => tenant.id}
        filters={[
          { name: "q", label: t.search },
          {
            name: "status",
            label: t.status,
            options: [
              { value: "active", label: t.active },
              { value: "suspended", label: t.suspended },
              { value: "deleted", label: t.deleted },
            ],
          },
          {
            name: "isolation",
            label: t.isolation,
            options: [
              { value: "pool", label: t.pool },
              { value: "schema", label: t.schema },
              { value: "database", label: t.database },
            ],
          },
        ]}
        columns={[
          {
            title: t.name,
            render: ({ id, key, name, status }) => (
              // Another may have the key of one that is deleted.
              <Link to={`/p/tenants/${status === "deleted" ? id : key}`} className="cut">
                {name}
              </Link>
            ),
          },
          { title: t.key, render: ({ key }) => <span className="mono">{key}</span> },
          { title: t.status, render: ({ status }) => <StatusTag status={status} /> },
          { title: t.isolation, render: ({ isolation }) => <IsolationTag isolation={isolation} /> },
          { title: t.plan, render: ({ plan }) => plan },
          {
            title: t.hosts,
            render: ({ hosts }) => <span className="cut">{hosts.join(", ") || "–"}</span>,
          },
          { title: t.created, render: ({ created_at }) => <Time at={created_at} /> },
        ]}
        empty={
          <Empty
            title={t.newTenant}
            about={t.emptyAbout}
            command="insulae tenant create acme --name 'Acme Corp'"
          >
            {create}
          </Empty>
        }
      />
      {making && (
        <Suspense>
          <NewTenant onClose={() => setMaking(false)} />
        </Suspense>
      )}
    </ScreenFrame>
  );
}
