import { Button } from "antd";
import { useAct, useGet } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { NumberText, Pill, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about: "What insulae doctor finds in this installation. What is wrong comes first.",
    failure: "failure",
    made: "Made",
    making: "A new diagnosis is being made …",
    ms: "ms",
    ok: "in order",
    runAgain: "Check again",
    title: "Doctor",
    took: "took",
    warning: "warning",
  },
  de: {
    about: "Was insulae doctor in dieser Installation findet. Was nicht stimmt, steht zuerst.",
    failure: "Fehler",
    made: "Erstellt",
    making: "Ein neuer Befund entsteht …",
    ms: "ms",
    ok: "in Ordnung",
    runAgain: "Noch einmal prüfen",
    title: "Befund",
    took: "in",
    warning: "Warnung",
  },
});

const kinds = { ok: "good", warning: "warn", failure: "bad" } as const;
const rank = { failure: 0, warning: 1, ok: 2 } as const;
const whileRunningMs = 2_000;
const key = "/platform/doctor";

/** The doctor's checks: of servers, isolation, migrations and what was left behind. */
export function Doctor() {
  const t = useText(texts);
  const found = useGet(
    [key],
    (api, signal) => api.get("/platform/doctor", { signal, params: { query: {} } }),
    { everyMs: (diagnosis) => (diagnosis?.running ? whileRunningMs : false) },
  );
  const again = useAct(
    (api, _: undefined) => api.get("/platform/doctor", { params: { query: { again: true } } }),
    { changes: [key] },
  );
  if (found.error && !found.data) {
    return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  }
  if (!found.data) return <Skeleton />;
  const { running, started_at, took_ms, checks } = found.data;
  const sorted = checks.toSorted((a, b) => rank[a.state] - rank[b.state]);
  return (
    <section aria-labelledby="doctor">
      <div className="screen-head">
        <h2 id="doctor" className="section">
          {t.title}
        </h2>
        <div className="actions">
          <Button loading={again.isPending || running} onClick={() => again.mutate(undefined)}>
            {t.runAgain}
          </Button>
        </div>
        <p className="about">
          {t.about}{" "}
          {started_at && (
            <>
              {t.made} <Time at={started_at} />, {t.took} <NumberText value={took_ms} /> {t.ms}.
            </>
          )}
        </p>
      </div>
      {again.error && <Problem error={again.error} />}
      {running && <p className="quiet">{t.making}</p>}
      <ul className="cards">
        {sorted.map(({ name, state, message, remedy }) => (
          <li key={`${name} ${message}`}>
            <span className="inline">
              <strong>{name}</strong>
              <Pill kind={kinds[state]}>{t[state]}</Pill>
              <span className="lines">{message}</span>
            </span>
            {remedy && <span className="quiet">→ {remedy}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
