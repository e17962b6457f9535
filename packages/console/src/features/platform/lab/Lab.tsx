import { useQueryClient } from "@tanstack/react-query";
import { Button, Popconfirm } from "antd";
import { useMemo, useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { type Context, ContextProvider, tenantContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { useServer } from "../../../lib/server.ts";
import { Pill, ScreenFrame } from "../../../ui/parts.tsx";
import { ScreenTabs } from "../../../ui/ScreenTabs.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { IsolationTag } from "../../../ui/tenant-tags.tsx";
import { Attempts } from "./Attempts.tsx";
import { acme, findDemo, globex, makeDemo, removeDemo } from "./demo.ts";
import { Report } from "./Report.tsx";
import { texts } from "./texts.ts";
import "./lab.css";

/** The demo makes tenants, so it isn't offered where real ones are. */
export default function Lab() {
  const t = useText(texts);
  const server = useServer();
  const [{ tab }] = useFilters();
  if (server.error) {
    return <Problem error={server.error} onRetry={() => void server.refetch()} />;
  }
  if (!server.data) return <Skeleton />;
  if (server.data.environment === "production") {
    return (
      <ScreenFrame title={t.title} about={t.reportAbout}>
        <Report />
      </ScreenFrame>
    );
  }
  return (
    <ScreenFrame title={t.title} about={tab === "report" ? t.reportAbout : `${t.about} ${t.curl}`}>
      <ScreenTabs
        label={t.title}
        tabs={[
          { key: "demo", label: t.demoTab, children: <Demo /> },
          { key: "report", label: t.reportTab, children: <Report /> },
        ]}
      />
    </ScreenFrame>
  );
}

function Demo() {
  const t = useText(texts);
  const cache = useQueryClient();
  const [sides] = useState(() => ({ acme: tenantContext(acme), globex: tenantContext(globex) }));
  const demo = useGet(["/tenants", "demo"], findDemo);
  const make = useAct(
    (api, _: undefined) =>
      makeDemo(api, (tenant) => (tenant === acme ? sides.acme : sides.globex).client),
    { changes: ["/tenants"] },
  );
  const remove = useAct(
    async (api, _: undefined) => {
      await removeDemo(api);
      for (const { key } of [sides.acme, sides.globex]) cache.removeQueries({ queryKey: key });
    },
    { changes: ["/tenants"] },
  );

  if (demo.isPending) return <Skeleton />;
  if (demo.error) return <Problem error={demo.error} onRetry={() => void demo.refetch()} />;
  if (!demo.data) {
    return (
      <div className="panel state">
        <h2>{make.isPending ? t.making : t.none}</h2>
        <Button
          type="primary"
          size="large"
          loading={make.isPending}
          onClick={() => make.mutate(undefined)}
        >
          {t.make}
        </Button>
        <p>{t.makeAbout}</p>
        {make.error && <Problem error={make.error} />}
      </div>
    );
  }
  return (
    <>
      <div className="lab-sides">
        <Side
          context={sides.acme}
          name={demo.data.acme.name}
          isolation={demo.data.acme.isolation}
        />
        <Side
          context={sides.globex}
          name={demo.data.globex.name}
          isolation={demo.data.globex.isolation}
        />
      </div>
      <Attempts acme={sides.acme} globex={sides.globex} />
      <p className="lab-end">
        <Popconfirm title={t.remove} onConfirm={() => remove.mutateAsync(undefined)}>
          <Button loading={remove.isPending}>{t.remove}</Button>
        </Popconfirm>
      </p>
    </>
  );
}

interface SideProps {
  readonly context: Context;
  readonly name: string;
  readonly isolation: "pool" | "schema" | "database";
}

/** One tenant, in the middle of a screen of the platform: what is below asks on its behalf. */
function Side({ context, name, isolation }: SideProps) {
  return (
    <ContextProvider value={context}>
      <section className="panel lab-side" aria-label={name}>
        <h2>
          {name} <IsolationTag isolation={isolation} />
        </h2>
        <Contacts />
      </section>
    </ContextProvider>
  );
}

const names = ["Barbara Liskov", "Edsger Dijkstra", "Tony Hoare", "Frances Allen", "Donald Knuth"];

function Contacts() {
  const t = useText(texts);
  const began = useMemo(() => ({ at: 0, ms: 0 }), []);
  const list = useGet(["/contacts", "lab"], async (api, signal) => {
    began.at = performance.now();
    const page = await api.get("/contacts", { params: { query: { limit: 10 } }, signal });
    began.ms = performance.now() - began.at;
    return page;
  });
  const add = useAct(
    (api, _: undefined) => {
      const name = names[Math.floor(Math.random() * names.length)] ?? "Ada";
      return api.post("/contacts", { body: { name } });
    },
    { changes: ["/contacts"] },
  );
  if (list.error) return <Problem error={list.error} onRetry={() => void list.refetch()} />;
  return (
    <>
      <p className="mono quiet">
        GET /api/v1/contacts {list.data && <Pill kind="good">200 · {began.ms.toFixed(0)} ms</Pill>}
      </p>
      <ul className="lab-rows">
        {list.data?.items.map(({ id, name, email }) => (
          <li key={id}>
            <span>{name}</span>
            <span className="quiet">{email}</span>
          </li>
        ))}
      </ul>
      <p className="quiet">{list.data && t.contacts(list.data.items.length)}</p>
      <Button loading={add.isPending} onClick={() => add.mutate(undefined)} title={t.addedHere}>
        {t.addContact}
      </Button>
    </>
  );
}
