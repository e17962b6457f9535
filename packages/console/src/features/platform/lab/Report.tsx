import type { Schemas } from "@insulae/client";
import { Button } from "antd";
import { useList } from "../../../lib/api.ts";
import { useLanguage, useText } from "../../../lib/i18n.ts";
import { Pill } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { IsolationTag } from "../../../ui/tenant-tags.tsx";
import { texts as shared } from "../../../ui/texts.ts";
import { texts } from "./texts.ts";

type Placement = Schemas["IsolationReport"];

/** What isolates the tenants of each placement. It is made to be printed. */
export function Report() {
  const t = useText(texts);
  const s = useText(shared);
  const language = useLanguage();
  const list = useList<Placement>(["/platform/isolation/report"], (api, cursor, signal) =>
    api.get("/platform/isolation/report", {
      params: { query: { limit: 50, ...(cursor && { cursor }) } },
      signal,
    }),
  );
  const { items, error, isPending, hasNextPage } = list;
  if (error && items.length === 0) {
    return <Problem error={error} onRetry={() => void list.refetch()} />;
  }
  if (isPending) return <Skeleton />;
  const good = items.filter(({ isolated }) => isolated).length;
  return (
    <>
      <div className="panel screen-head report-head">
        <div>
          <h2>
            <Pill kind={good === items.length ? "good" : "bad"}>
              {t.isolatedOf(good, items.length)}
            </Pill>
          </h2>
          <p className="quiet">
            {t.reportAt(new Date(list.dataUpdatedAt).toLocaleString(language))}
            {hasNextPage && ` ${t.reportMore}`}
          </p>
        </div>
        <div className="actions">
          <Button loading={list.isRefetching} onClick={() => void list.refetch()}>
            {t.lookAgain}
          </Button>
          <Button type="primary" onClick={() => print()}>
            {t.print}
          </Button>
        </div>
      </div>
      {items.map((placement) => (
        <PlacementReport key={placement.id} placement={placement} />
      ))}
      {hasNextPage && (
        <div className="load-more">
          <Button loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {s.loadMore}
          </Button>
        </div>
      )}
    </>
  );
}

function PlacementReport({ placement }: { readonly placement: Placement }) {
  const t = useText(texts);
  const { server, database, schema, isolation, isolated, problems, error, tables, roles } =
    placement;
  const yes = (value: boolean) => (
    <span className={value ? "good" : "bad"}>{value ? t.yes : t.no}</span>
  );
  return (
    <section className="panel placement" aria-label={`${server}/${database}.${schema}`}>
      <h2>
        <span className="mono">
          {server}/{database}.{schema}
        </span>{" "}
        <IsolationTag isolation={isolation} />{" "}
        <Pill kind={isolated ? "good" : "bad"}>{isolated ? t.isolated : t.notIsolated}</Pill>
      </h2>
      {error && <p className="bad">{error}</p>}
      {problems.length > 0 && (
        <ul>
          {problems.map(({ object, problem }) => (
            <li key={`${object} ${problem}`} className="bad">
              <span className="mono">{object}</span>: {problem}
            </li>
          ))}
        </ul>
      )}
      {tables.length > 0 && (
        <details>
          <summary>{t.tablesAndRoles(tables.length, roles.length)}</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <section className="scrolls" tabIndex={0} aria-label={t.tables}>
            <table className="facts">
              <thead>
                <tr>
                  <th>{t.table}</th>
                  <th>{t.rowSecurity}</th>
                  <th>{t.forcedColumn}</th>
                  <th>{t.owner}</th>
                  <th>{t.policy}</th>
                </tr>
              </thead>
              <tbody>
                {tables.map(({ name, enabled, forced, owner, policies }) => (
                  <tr key={name}>
                    <td className="mono">{name}</td>
                    <td>{yes(enabled)}</td>
                    <td>{yes(forced)}</td>
                    <td className="mono">{owner}</td>
                    <td className="mono">{policies.join(", ") || "–"}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            <table className="facts">
              <thead>
                <tr>
                  <th>{t.role}</th>
                  <th>{t.ownsTables}</th>
                  <th>{t.logsIn}</th>
                  <th>{t.superuser}</th>
                  <th>{t.bypasses}</th>
                </tr>
              </thead>
              <tbody>
                {roles.map((role) => (
                  <tr key={role.name}>
                    <td className="mono">{role.name}</td>
                    <td>{role.owns_tables ? t.yes : t.no}</td>
                    <td>{role.can_log_in ? t.yes : t.no}</td>
                    <td className={role.superuser ? "bad" : ""}>{role.superuser ? t.yes : t.no}</td>
                    <td className={role.bypasses_row_security ? "bad" : ""}>
                      {role.bypasses_row_security ? t.yes : t.no}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </details>
      )}
    </section>
  );
}
