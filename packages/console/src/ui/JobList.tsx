/** Background jobs: a tenant's own, or those of all. */
import type { Schemas } from "@insulae/client";
import { Button, Descriptions, Drawer, Popconfirm, Progress, Space } from "antd";
import { useState } from "react";
import { useAct } from "../lib/api.ts";
import { useApiContext } from "../lib/context.tsx";
import { defineTexts, useText } from "../lib/i18n.ts";
import { useMay } from "../lib/me.ts";
import { useIsNarrow } from "../lib/use-media.ts";
import { Id, Json, Pill, Time } from "./parts.tsx";
import { ResourceList } from "./ResourceList.tsx";
import { Empty, Problem } from "./states.tsx";
import { useFocusBack } from "./use-focus-back.ts";

const texts = defineTexts({
  en: {
    attempts: "Attempts",
    completed: "completed",
    data: "Data",
    drop: "Drop",
    dropAbout: "It is not run again.",
    due: "Due",
    empty: "No jobs",
    emptyAbout: "Work that is done later, such as exports and deliveries, stands here.",
    error: "Error",
    job: "Job",
    parked: "parked",
    result: "Result",
    retry: "Retry",
    running: "running",
    state: "State",
    tenant: "Tenant",
    waiting: "waiting",
  },
  de: {
    attempts: "Versuche",
    completed: "fertig",
    data: "Daten",
    drop: "Verwerfen",
    dropAbout: "Er wird nicht mehr ausgeführt.",
    due: "Fällig",
    empty: "Keine Jobs",
    emptyAbout: "Arbeit, die später getan wird, etwa Exporte und Zustellungen, steht hier.",
    error: "Fehler",
    job: "Job",
    parked: "geparkt",
    result: "Ergebnis",
    retry: "Noch einmal",
    running: "läuft",
    state: "Zustand",
    tenant: "Mandant",
    waiting: "wartet",
  },
});

type Job = Schemas["Job"];
const states = ["waiting", "running", "completed", "parked"] as const;
const kinds = {
  waiting: "neutral",
  running: "neutral",
  completed: "good",
  parked: "bad",
} as const;
/** Somebody looks at what is at work. */
const everyMs = 10_000;
const changes = { changes: ["/jobs"] };

export function JobList({ label }: { readonly label: string }) {
  const t = useText(texts);
  const may = useMay();
  const { tenant } = useApiContext();
  const mayWrite = tenant === undefined || may("jobs:write");
  const [shown, setShown] = useState<Job>();
  const retry = useAct(
    (api, id: string) => api.post("/jobs/{id}/retry", { params: { path: { id } } }),
    changes,
  );
  const drop = useAct(
    (api, id: string) => api.delete("/jobs/{id}", { params: { path: { id } } }),
    changes,
  );
  const failure = retry.error ?? drop.error;
  return (
    <>
      {failure && <Problem error={failure} />}
      <ResourceList<Job>
        of="/jobs"
        label={label}
        everyMs={everyMs}
        read={(api, query, signal) =>
          api.get("/jobs", { params: { query: { limit: 50, ...query } as object }, signal })
        }
        rowKey={(job) => job.id}
        filters={[
          {
            name: "state",
            label: t.state,
            options: states.map((value) => ({ value, label: t[value] })),
          },
          { name: "job", label: t.job },
        ]}
        columns={[
          {
            title: t.job,
            render: (job) => (
              <button type="button" className="link mono" onClick={() => setShown(job)}>
                {job.job}
              </button>
            ),
          },
          {
            title: t.state,
            render: ({ state, progress }) =>
              state === "running" && progress !== null ? (
                <Progress
                  percent={Math.round(progress * 100)}
                  size="small"
                  style={{ width: 120 }}
                />
              ) : (
                <Pill kind={kinds[state]}>{t[state]}</Pill>
              ),
          },
          ...(tenant === undefined
            ? [{ title: t.tenant, render: ({ tenant_id }: Job) => <Id id={tenant_id} /> }]
            : []),
          { title: t.attempts, align: "right" as const, render: ({ attempts }: Job) => attempts },
          { title: t.error, render: ({ error }: Job) => <span className="cut bad">{error}</span> },
          { title: t.due, render: ({ due_at }: Job) => <Time at={due_at} /> },
          {
            title: "",
            render: ({ id, state }: Job) =>
              mayWrite &&
              (state === "parked" || state === "waiting") && (
                <Space>
                  {state === "parked" && (
                    <Button size="small" onClick={() => retry.mutate(id)}>
                      {t.retry}
                    </Button>
                  )}
                  <Popconfirm
                    title={t.drop}
                    description={t.dropAbout}
                    onConfirm={() => drop.mutateAsync(id)}
                  >
                    <Button size="small" danger>
                      {t.drop}
                    </Button>
                  </Popconfirm>
                </Space>
              ),
          },
        ]}
        empty={<Empty title={t.empty} about={t.emptyAbout} />}
      />
      {shown && <JobDrawer job={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}

function JobDrawer({ job, onClose }: { readonly job: Job; readonly onClose: () => void }) {
  useFocusBack();
  const t = useText(texts);
  const narrow = useIsNarrow();
  return (
    <Drawer open title={job.job} size={narrow ? "100%" : 560} onClose={onClose}>
      <Descriptions
        column={1}
        items={[
          { key: "id", label: "Id", children: <Id id={job.id} /> },
          { key: "state", label: t.state, children: t[job.state] },
          { key: "attempts", label: t.attempts, children: job.attempts },
          { key: "due", label: t.due, children: <Time at={job.due_at} /> },
          {
            key: "bad",
            label: t.error,
            children: <span className="bad">{job.error ?? "–"}</span>,
          },
        ]}
      />
      <h3>{t.data}</h3>
      <Json value={job.data} />
      <h3>{t.result}</h3>
      <Json value={job.result} />
    </Drawer>
  );
}
