import { Link, Navigate, useParams } from "@tanstack/react-router";
import { Button } from "antd";
import { useState } from "react";
import { anyClient } from "../../../lib/any-client.ts";
import type { Page } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import {
  type ApiDocument,
  type Resource,
  resolve,
  resourcesOf,
  typeOf,
  useDocument,
} from "../../../lib/document.ts";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { useFilters } from "../../../lib/search.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { type Column, type Filter, ResourceList } from "../../../ui/ResourceList.tsx";
import { labelOf } from "../../../ui/SchemaForm.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { ValueText } from "../../../ui/ValueText.tsx";
import { Create } from "./Create.tsx";
import { Detail } from "./Detail.tsx";
import { exportAll } from "./export.ts";
import { Import } from "./Import.tsx";
import type { Item } from "./item.ts";
import { texts } from "./texts.ts";

/** They have screens of their own. */
const elsewhere = new Set([
  "api-keys",
  "audit",
  "client-certificates",
  "email-domains",
  "files",
  "identity-providers",
  "impersonations",
  "invitations",
  "jobs",
  "mails",
  "permissions",
  "roles",
  "tenants",
  "users",
  "webhooks",
]);

export default function Data() {
  const t = useText(texts);
  const may = useMay();
  const { tenant } = useApiContext();
  const { resource: name } = useParams({ strict: false }) as { readonly resource?: string };
  const document = useDocument();
  if (document.error)
    return <Problem error={document.error} onRetry={() => void document.refetch()} />;
  if (!document.data) return <Skeleton />;
  const resources = resourcesOf(document.data).filter(
    ({ name, list }) => !elsewhere.has(name) && may(list["x-permission"] ?? ""),
  );
  const [first] = resources;
  if (!first) return <Empty title={t.none} />;
  if (name === undefined) return <Navigate to={`/t/${tenant}/data/${first.name}`} replace />;
  const resource = resources.find((each) => each.name === name);
  return (
    <>
      <nav className="tabs" aria-label={t.title}>
        {resources.map((each) => (
          <Link
            key={each.name}
            to={`/t/${tenant}/data/${each.name}`}
            aria-current={each.name === name ? "page" : undefined}
          >
            {labelOf(each.name)}
          </Link>
        ))}
      </nav>
      {resource ? (
        <ResourceScreen key={name} document={document.data} resource={resource} />
      ) : (
        <Empty title={t.none} />
      )}
    </>
  );
}

interface ScreenProps {
  readonly document: ApiDocument;
  readonly resource: Resource;
}

const mostColumns = 7;

function ResourceScreen({ document, resource }: ScreenProps) {
  const t = useText(texts);
  const may = useMay();
  const { client } = useApiContext();
  const [{ id }, change] = useFilters();
  const [open, setOpen] = useState<"create" | "import">();
  const [listed, setListed] = useState<Item>();
  const show = (item: Item) => {
    setListed(item);
    change({ id: item.id });
  };
  const { path, name } = resource;
  const mayCreate = resource.create !== undefined && may(resource.create["x-permission"] ?? "");
  const create = mayCreate && (
    <Button
      type="primary"
      data-new
      icon={<Icon name="plus" size={16} />}
      onClick={() => setOpen("create")}
    >
      {t.newOne}
    </Button>
  );
  return (
    <ScreenFrame
      title={labelOf(name)}
      actions={
        <>
          {resource.exports && (
            <Button onClick={() => void exportAll(client, resource)}>{t.export}</Button>
          )}
          {resource.imports && mayCreate && (
            <Button onClick={() => setOpen("import")}>{t.import}</Button>
          )}
          {create}
        </>
      }
    >
      <ResourceList<Item>
        of={path}
        label={labelOf(name)}
        read={(api, query, signal) =>
          anyClient(api).get(path, {
            params: { query: { limit: 50, ...query } },
            signal,
          }) as Promise<Page<Item>>
        }
        rowKey={(item) => item.id}
        filters={filtersOf(document, resource, t.search)}
        columns={columnsOf(document, resource, show)}
        onOpen={show}
        empty={<Empty title={t.nothing}>{create}</Empty>}
      />
      {id && (
        <Detail
          document={document}
          resource={resource}
          id={id}
          listed={listed?.id === id ? listed : undefined}
          onClose={() => change({ id: undefined })}
        />
      )}
      {open === "create" && (
        <Create document={document} resource={resource} onClose={() => setOpen(undefined)} />
      )}
      {open === "import" && <Import resource={resource} onClose={() => setOpen(undefined)} />}
    </ScreenFrame>
  );
}

/** The first one leads to the item; ids, times and what is nested come last, or not at all. */
function columnsOf(
  document: ApiDocument,
  { item }: Resource,
  open: (item: Item) => void,
): readonly Column<Item>[] {
  const names = Object.keys(item.properties ?? {});
  const rank = (name: string): number => {
    const schema = resolve(document, item.properties?.[name]);
    if (name === "id" || name === "metadata") return 9;
    if (/^(name|title|number|key|sku)$/.test(name)) return 0;
    if (name.endsWith("_id") || typeOf(schema) === "object" || typeOf(schema) === "array") return 8;
    if (name === "updated_at") return 7;
    return name.endsWith("_at") ? 6 : 2;
  };
  const chosen = names
    .filter((name) => rank(name) < 8)
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, mostColumns);
  return chosen.map((name, at) => {
    const schema = resolve(document, item.properties?.[name]);
    const isNumber = /^(integer|number)$/.test(typeOf(schema) ?? "");
    return {
      title: labelOf(name),
      ...(isNumber && at > 0 && { align: "right" as const }),
      render: (each) =>
        at === 0 ? (
          <button type="button" className="link cut" onClick={() => open(each)}>
            {String(each[name] ?? each.id)}
          </button>
        ) : (
          <ValueText value={each[name]} isTag={schema.enum !== undefined} />
        ),
    };
  });
}

const paging = new Set(["limit", "cursor", "total", "order", "sort"]);

function filtersOf(
  document: ApiDocument,
  { list }: Resource,
  searchLabel: string,
): readonly Filter[] {
  return (list.parameters ?? [])
    .filter(({ name, in: place }) => place === "query" && !paging.has(name))
    .flatMap(({ name, schema }): Filter[] => {
      const own = resolve(document, schema);
      if (own.enum) {
        return [
          {
            name,
            label: labelOf(name),
            options: own.enum.map((value) => ({ value: String(value), label: String(value) })),
          },
        ];
      }
      if (typeOf(own) === "boolean") {
        return [
          {
            name,
            label: labelOf(name),
            options: ["true", "false"].map((value) => ({ value, label: value })),
          },
        ];
      }
      if (typeOf(own) !== "string") return [];
      return [{ name, label: name === "q" ? searchLabel : labelOf(name) }];
    })
    .slice(0, 4);
}
