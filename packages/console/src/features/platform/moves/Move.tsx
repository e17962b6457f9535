import type { Schemas } from "@insulae/client";
import { Link, useNavigate } from "@tanstack/react-router";
import { App, Descriptions } from "antd";
import { useAct, useGet } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { NumberText, Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";

type Shown = Schemas["Move"];

/** In their order. `undoing` and `aborted` are none of them. */
const phases = [
  "planned",
  "capturing",
  "copying",
  "following",
  "closing",
  "switched",
  "kept",
  "clearing",
  "done",
] as const;

const isUnderWay = ({ state }: Shown) => !["kept", "done", "aborted"].includes(state);
const isAbortable = ({ state }: Shown) => phases.slice(0, 5).some((phase) => phase === state);

export function MoveState({ move }: { readonly move: Shown }) {
  const t = useText(texts);
  const { state, kind, error } = move;
  const kindOf = error ? "bad" : isUnderWay(move) ? "warn" : state === "aborted" ? "bad" : "good";
  return (
    <>
      <Pill kind={kindOf}>{t[state]}</Pill>
      {kind === "revert" && <Pill>{t.reverted}</Pill>}
    </>
  );
}

export default function Move({ id }: { readonly id: string }) {
  const t = useText(texts);
  const found = useGet(
    ["/platform/moves", id],
    (api, signal) => api.get("/platform/moves/{id}", { params: { path: { id } }, signal }),
    { everyMs: 1_000 },
  );
  if (found.error) return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton />;
  const move = found.data;
  return (
    <ScreenFrame
      title={
        <>
          {t.title} <MoveState move={move} />
        </>
      }
      about={
        <Link to={`/p/tenants/${move.tenant_id}`} className="mono">
          {move.tenant_id}
        </Link>
      }
      actions={<Actions move={move} />}
    >
      {move.error && (
        <p className="bad" role="alert">
          {t.error}: {move.error}
        </p>
      )}
      <Phases move={move} />
      <Figures move={move} />
    </ScreenFrame>
  );
}

function Phases({ move }: { readonly move: Shown }) {
  const t = useText(texts);
  const at = phases.indexOf(move.state as (typeof phases)[number]);
  const { rows, rows_total } = move.progress;
  return (
    <ol className="panel">
      {phases.map((phase, i) => (
        <li key={phase} aria-current={i === at ? "step" : undefined}>
          {i < at ? "✓ " : ""}
          {i === at ? <strong>{t[phase]}</strong> : t[phase]}
          {phase === "copying" && i === at && rows !== undefined && (
            <>
              {" "}
              <progress value={rows} max={Math.max(1, rows_total ?? rows)} aria-label={t.copied} />
            </>
          )}
        </li>
      ))}
    </ol>
  );
}

const placeText = ({ isolation, server, database, schema }: Shown["source"]) =>
  `${isolation} · ${server}${database ? ` · ${database}.${schema}` : ""}`;

function Figures({ move }: { readonly move: Shown }) {
  const t = useText(texts);
  const { progress, report } = move;
  const { rows_total, lag_rows, estimated_pause_ms } = progress;
  const rows = progress.rows ?? report.rows;
  const { compared_before, compared_at_cut_over, pause_ms } = report;
  const text = (value: number) => value.toLocaleString();
  return (
    <div className="panel">
      <Descriptions
        column={{ xs: 1, md: 2 }}
        items={[
          { key: "from", label: t.from, children: placeText(move.source) },
          { key: "to", label: t.to, children: placeText(move.target) },
          {
            key: "copied",
            label: t.copied,
            children: rows === undefined ? "–" : t.rowsOf(text(rows), text(rows_total ?? rows)),
          },
          {
            key: "lag",
            label: t.lag,
            children: lag_rows === undefined ? "–" : t.rows(text(lag_rows)),
          },
          {
            key: "estimated",
            label: t.estimated,
            children: estimated_pause_ms === undefined ? "–" : t.ms(estimated_pause_ms),
          },
          {
            key: "pause",
            label: t.pause,
            children: pause_ms === undefined ? "–" : t.ms(pause_ms),
          },
          {
            key: "compared",
            label: t.compared,
            children:
              compared_before !== undefined && compared_at_cut_over !== undefined ? (
                t.comparedAbout(text(compared_before), text(compared_at_cut_over))
              ) : (
                <NumberText value={compared_before} />
              ),
          },
          { key: "kept", label: t.keptUntil, children: <Time at={move.keep_until} /> },
          { key: "started", label: t.started, children: <Time at={move.created_at} /> },
        ]}
      />
    </div>
  );
}

function Actions({ move }: { readonly move: Shown }) {
  const t = useText(texts);
  const { modal, message } = App.useApp();
  const navigate = useNavigate();
  const params = { path: { id: move.id } };
  const changes = { changes: ["/platform/moves", "/tenants"] };
  const abort = useAct(
    (api, _: undefined) => api.post("/platform/moves/{id}/abort", { params }),
    changes,
  );
  const revert = useAct(
    (api, _: undefined) => api.post("/platform/moves/{id}/revert", { params }),
    changes,
  );
  const release = useAct(
    (api, _: undefined) => api.post("/platform/moves/{id}/release", { params }),
    changes,
  );
  const failed = (error: Error) => void message.error(error.message, 10);
  const ask = (title: string, content: string, act: () => Promise<unknown>) =>
    void modal.confirm({ title, content, okText: title, onOk: () => act().catch(failed) });
  if (isAbortable(move)) {
    return (
      <ActionButton
        danger
        operation="post /platform/moves/{id}/abort"
        loading={abort.isPending || move.abort_wanted}
        onClick={() => abort.mutate(undefined, { onError: failed })}
      >
        {t.abort}
      </ActionButton>
    );
  }
  if (move.state !== "kept") return null;
  return (
    <>
      <ActionButton
        operation="post /platform/moves/{id}/revert"
        onClick={() =>
          ask(t.revert, t.revertAbout, async () => {
            const { id } = await revert.mutateAsync(undefined);
            await navigate({ to: `/p/moves/${id}` });
          })
        }
      >
        {t.revert}
      </ActionButton>
      <ActionButton
        danger
        operation="post /platform/moves/{id}/release"
        onClick={() => ask(t.release, t.releaseAbout, () => release.mutateAsync(undefined))}
      >
        {t.release}
      </ActionButton>
    </>
  );
}
