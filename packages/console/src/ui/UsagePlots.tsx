import type { Schemas } from "@insulae/client";
import { useGet } from "../lib/api.ts";
import { defineTexts, useText } from "../lib/i18n.ts";
import { useFilters } from "../lib/search.ts";
import { BarChart } from "./BarChart.tsx";
import { Bytes, NumberText } from "./parts.tsx";
import { Skeleton } from "./Skeleton.tsx";
import { Empty, Problem } from "./states.tsx";

const texts = defineTexts({
  en: {
    days: (count: number) => `${count} days`,
    empty: "Nothing was measured yet",
    emptyAbout: "Usage is measured once a day.",
    noLimit: "no limit",
    of: "of",
    quotas: "Quotas",
    range: "Range",
  },
  de: {
    days: (count: number) => `${count} Tage`,
    empty: "Noch nichts gemessen",
    emptyAbout: "Der Verbrauch wird einmal am Tag gemessen.",
    noLimit: "keine Grenze",
    of: "von",
    quotas: "Grenzen",
    range: "Zeitraum",
  },
});

const ranges = [30, 90, 400] as const;
const dayMs = 86_400_000;
const dateOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

/** A tenant's usage by day, against its quotas. */
export function UsagePlots({ tenant }: { readonly tenant: string }) {
  const t = useText(texts);
  const [{ days = "30" }, change] = useFilters();
  const range = Number(days);
  const usage = useGet(["/usage", tenant, range], (api, signal) =>
    api.get("/tenants/{id}/usage", {
      params: { path: { id: tenant }, query: { from: dateOf(Date.now() - range * dayMs) } },
      signal,
    }),
  );
  if (usage.error) return <Problem error={usage.error} onRetry={() => void usage.refetch()} />;
  if (!usage.data) return <Skeleton />;
  const { quotas, series } = usage.data;
  return (
    <>
      <fieldset className="filters segments" style={{ border: 0, padding: 0, marginLeft: 0 }}>
        <legend className="sr-only">{t.range}</legend>
        {ranges.map((each) => (
          <button
            key={each}
            type="button"
            aria-pressed={range === each}
            style={{ flex: "none" }}
            onClick={() => change({ days: String(each) })}
          >
            {t.days(each)}
          </button>
        ))}
      </fieldset>
      {quotas.length > 0 && <Quotas quotas={quotas} />}
      {series.length === 0 ? (
        <Empty title={t.empty} about={t.emptyAbout} />
      ) : (
        <div className="grid">
          {series.map(({ metric, points }) => (
            <div key={metric}>
              <BarChart
                title={nameOf(metric)}
                points={points.map(({ day, amount }) => ({ name: day, value: amount }))}
              />
            </div>
          ))}
        </div>
      )}
    </>
  );
}

/** Bytes are told in their units, other amounts as they are. */
function Amount({ of, value }: { readonly of: string; readonly value: number }) {
  return of.endsWith("bytes") ? <Bytes value={value} /> : <NumberText value={value} />;
}

const nameOf = (metric: string): string => metric.replace(/_bytes$/, "").replaceAll("_", " ");

export function Quotas({ quotas }: { readonly quotas: readonly Schemas["Quota"][] }) {
  const t = useText(texts);
  return (
    <div className="panel" style={{ marginBottom: 16 }}>
      <h2>{t.quotas}</h2>
      <div className="grid" style={{ marginTop: 12 }}>
        {quotas.map(({ name, limit, used }) => {
          const share = limit === null ? 0 : Math.min(1, used / Math.max(1, limit));
          const state = share >= 1 ? "is-bad" : share >= 0.8 ? "is-warn" : "";
          return (
            <div key={name}>
              <div style={{ display: "flex", justifyContent: "space-between", marginBottom: 6 }}>
                <span>{nameOf(name)}</span>
                <span>
                  <Amount of={name} value={used} />{" "}
                  {limit === null ? (
                    <span className="quiet">({t.noLimit})</span>
                  ) : (
                    <>
                      {t.of} <Amount of={name} value={limit} />
                    </>
                  )}
                </span>
              </div>
              {limit !== null && (
                <meter
                  className={state}
                  aria-label={nameOf(name)}
                  min={0}
                  max={limit}
                  value={Math.min(used, limit)}
                />
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}
