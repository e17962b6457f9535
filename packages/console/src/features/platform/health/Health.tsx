import { useQuery } from "@tanstack/react-query";
import { Button } from "antd";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { serverUrl } from "../../../lib/place.ts";
import { NumberText, Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { Doctor } from "./Doctor.tsx";

const texts = defineTexts({
  en: {
    about:
      "What the server that answered depends on, as it finds it now. Without the database it serves nobody; without the others it does less.",
    asOf: "Asked",
    degraded: "does less",
    down: "down",
    lookAgain: "Look again",
    ms: "ms",
    ready: "ready",
    stopping: "stopping",
    title: "Health",
    unavailable: "unavailable",
    up: "up",
  },
  de: {
    about:
      "Wovon der Server abhängt, der geantwortet hat, und wie er es jetzt vorfindet. Ohne die Datenbank bedient er niemanden, ohne das andere tut er weniger.",
    asOf: "Gefragt",
    degraded: "tut weniger",
    down: "aus",
    lookAgain: "Noch einmal nachsehen",
    ms: "ms",
    ready: "bereit",
    stopping: "hält an",
    title: "Zustand",
    unavailable: "nicht verfügbar",
    up: "an",
  },
});

interface Readiness {
  readonly status: "ready" | "degraded" | "unavailable" | "stopping";
  readonly dependencies: Readonly<
    Record<string, { readonly status: "up" | "down"; readonly latency_ms: number }>
  >;
}

const kinds = { ready: "good", degraded: "warn", stopping: "warn", unavailable: "bad" } as const;
const everyMs = 10_000;

/** It is no part of the API: load balancers ask it too. A 503 says as much as a 200. */
async function readiness(signal: AbortSignal): Promise<Readiness> {
  const response = await fetch(`${serverUrl}/health/ready`, { signal });
  return response.json();
}

export default function Health() {
  const t = useText(texts);
  const found = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => readiness(signal),
    refetchInterval: everyMs,
  });
  if (found.error && !found.data) {
    return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  }
  if (!found.data) return <Skeleton />;
  const { status, dependencies } = found.data;
  return (
    <ScreenFrame
      title={
        <>
          {t.title} <Pill kind={kinds[status]}>{t[status]}</Pill>
        </>
      }
      about={t.about}
      actions={
        <Button loading={found.isFetching} onClick={() => void found.refetch()}>
          {t.lookAgain}
        </Button>
      }
    >
      {found.error && <Problem error={found.error} />}
      <ul className="cards">
        {Object.entries(dependencies).map(([name, { status: state, latency_ms }]) => (
          <li key={name}>
            <span className="inline">
              <strong>{name}</strong>
              <Pill kind={state === "up" ? "good" : "bad"}>{t[state]}</Pill>
              <span className="quiet">
                <NumberText value={latency_ms} /> {t.ms}
              </span>
            </span>
          </li>
        ))}
      </ul>
      <p className="quiet section-note">
        {t.asOf} <Time at={new Date(found.dataUpdatedAt).toISOString()} />.
      </p>
      <Doctor />
    </ScreenFrame>
  );
}
