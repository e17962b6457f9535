import { Link } from "@tanstack/react-router";
import { useGet } from "../../../lib/api.ts";
import { defineTexts, useLanguage, useText } from "../../../lib/i18n.ts";
import { BarChart } from "../../../ui/BarChart.tsx";
import { Figure, NumberText, ScreenFrame } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    activeTenants: "Active tenants by day",
    byIsolation: "By isolation",
    byPlan: "By plan",
    empty: "No tenant yet",
    emptyAbout: "See in the lab how two of them share a server and never see each other.",
    failedMails: "failed mails",
    parked: "parked jobs",
    requests: "Requests by day",
    rows: "rows",
    tenants: "tenants",
    title: "Overview",
    toLab: "To the isolation lab",
    top: "Most requests in 30 days",
    users: "users",
  },
  de: {
    activeTenants: "Aktive Mandanten am Tag",
    byIsolation: "Nach Isolation",
    byPlan: "Nach Tarif",
    empty: "Noch kein Mandant",
    emptyAbout: "Sehen Sie im Labor, wie sich zwei einen Server teilen und sich nie sehen.",
    failedMails: "gescheiterte Mails",
    parked: "geparkte Jobs",
    requests: "Anfragen am Tag",
    rows: "Zeilen",
    tenants: "Mandanten",
    title: "Überblick",
    toLab: "Zum Isolationslabor",
    top: "Die meisten Anfragen in 30 Tagen",
    users: "Benutzer",
  },
});

/** More of them than that are "5 or more": nobody counts them all for this. */
const looked = 5;

export default function Overview() {
  const t = useText(texts);
  const language = useLanguage();
  const analytics = useGet(["/platform/analytics"], (api, signal) =>
    api.get("/platform/analytics", { signal }),
  );
  const parked = useGet(["/jobs", "parked"], (api, signal) =>
    api.get("/jobs", { params: { query: { state: "parked", limit: looked } }, signal }),
  );
  const failed = useGet(["/mails", "failed"], (api, signal) =>
    api.get("/mails", { params: { query: { state: "failed", limit: looked } }, signal }),
  );
  if (analytics.error) {
    return <Problem error={analytics.error} onRetry={() => void analytics.refetch()} />;
  }
  if (!analytics.data) return <Skeleton />;
  const { tenants, levels, days, top } = analytics.data;
  if (tenants.total === 0) {
    return (
      <Empty title={t.empty} about={t.emptyAbout}>
        <Link to="/p/lab">{t.toLab}</Link>
      </Empty>
    );
  }
  const some = (count: number | undefined) =>
    count === undefined ? "–" : count >= looked ? `${looked}+` : String(count);
  const dayName = (day: string) => new Date(day).toLocaleDateString(language);
  return (
    <ScreenFrame title={t.title}>
      <div className="figures">
        <Link to="/p/tenants">
          <Figure name={t.tenants} value={<NumberText value={tenants.total} />} />
        </Link>
        <Figure name={t.users} value={<NumberText value={levels.users} />} />
        <Figure name={t.rows} value={<NumberText value={levels.rows} />} />
        <Link to="/p/jobs" search={{ state: "parked" } as never}>
          <Figure name={t.parked} value={some(parked.data?.items.length)} />
        </Link>
        <Link to="/p/mails" search={{ state: "failed" } as never}>
          <Figure name={t.failedMails} value={some(failed.data?.items.length)} />
        </Link>
      </div>
      <div className="grid" style={{ marginTop: 16 }}>
        <BarChart
          title={t.requests}
          points={days.map(({ day, requests }) => ({ name: dayName(day), value: requests }))}
        />
        <BarChart
          title={t.activeTenants}
          points={days.map((each) => ({ name: dayName(each.day), value: each.active_tenants }))}
        />
      </div>
      <div className="grid" style={{ marginTop: 16 }}>
        <Counts title={t.byIsolation} counts={tenants.by_isolation} />
        <Counts title={t.byPlan} counts={tenants.by_plan} />
        <div className="panel" style={{ marginTop: 0 }}>
          <h2>{t.top}</h2>
          <ul className="events amounts">
            {top.requests.map(({ key, name, amount }) => (
              <li key={key}>
                <span className="inline">
                  <Link to={`/p/tenants/${key}`}>{name}</Link>
                  <span className="quiet mono">{key}</span>
                </span>
                <NumberText value={amount} />
              </li>
            ))}
          </ul>
        </div>
      </div>
    </ScreenFrame>
  );
}

interface CountsProps {
  readonly title: string;
  readonly counts: Readonly<Record<string, number>>;
}

function Counts({ title, counts }: CountsProps) {
  return (
    <div className="panel" style={{ marginTop: 0 }}>
      <h2>{title}</h2>
      <ul className="events amounts">
        {Object.entries(counts).map(([name, count]) => (
          <li key={name}>
            <span>{name}</span>
            <NumberText value={count} />
          </li>
        ))}
      </ul>
    </div>
  );
}
