/** The audit log of a tenant or of the platform, with its chain checked in the page. */
import type { Client, Schemas } from "@insulae/client";
import { Button, Descriptions, Drawer } from "antd";
import { useState } from "react";
import type { Page } from "../lib/api.ts";
import { defineTexts, useText } from "../lib/i18n.ts";
import { type Search, useFilters } from "../lib/search.ts";
import { useIsNarrow } from "../lib/use-media.ts";
import { Id, Json, Pill, Time } from "./parts.tsx";
import { ResourceList } from "./ResourceList.tsx";
import { Empty } from "./states.tsx";
import { useFocusBack } from "./use-focus-back.ts";

const texts = defineTexts({
  en: {
    action: "Action",
    actor: "By",
    address: "From",
    at: "When",
    chain: (linked: number, of: number) =>
      `${linked} of ${of} pairs of neighbours are linked: each entry names the hash of the one before it.`,
    chainAbout:
      "Only the links are compared here. The server recomputes the hashes themselves with insulae audit verify.",
    chainBroken: (positions: string) => `The chain is broken before position ${positions}.`,
    chainNone: "No two of the entries that are shown are neighbours, so no link can be compared.",
    clear: "Clear the filters",
    detail: "Detail",
    empty: "Nothing was recorded yet",
    failed: "failed",
    hash: "Hash",
    outcome: "Outcome",
    person: "Only this person",
    previous: "Previous hash",
    record: "Only this record",
    refused: "refused",
    request: "Request",
    search: "Action, such as user.deleted",
    seq: "Position",
    succeeded: "succeeded",
    target: "What",
  },
  de: {
    action: "Handlung",
    actor: "Von",
    address: "Woher",
    at: "Wann",
    chain: (linked: number, of: number) =>
      `${linked} von ${of} Nachbarn sind verkettet: Jeder Eintrag nennt den Hash dessen vor ihm.`,
    chainAbout:
      "Verglichen werden hier nur die Glieder. Die Hashes selbst rechnet der Server mit insulae audit verify nach.",
    chainBroken: (positions: string) => `Die Kette ist gebrochen vor Position ${positions}.`,
    chainNone:
      "Keine zwei der gezeigten Einträge sind Nachbarn, also lässt sich kein Glied vergleichen.",
    clear: "Filter leeren",
    detail: "Einzelheiten",
    empty: "Noch ist nichts verzeichnet",
    failed: "gescheitert",
    hash: "Hash",
    outcome: "Ausgang",
    person: "Nur diese Person",
    previous: "Voriger Hash",
    record: "Nur dieser Datensatz",
    refused: "abgewiesen",
    request: "Anfrage",
    search: "Handlung, etwa user.deleted",
    seq: "Position",
    succeeded: "gelungen",
    target: "Was",
  },
});

type Entry = Schemas["AuditEntry"];
const outcomes = ["succeeded", "failed", "refused"] as const;
const kinds = { succeeded: "good", failed: "warn", refused: "bad" } as const;

interface Props {
  readonly path: "/audit" | "/platform/audit";
  readonly label: string;
}

export function AuditList({ path, label }: Props) {
  const t = useText(texts);
  const [search, change] = useFilters();
  const [shown, setShown] = useState<Entry>();
  const read = (api: Client, query: Search, signal: AbortSignal): Promise<Page<Entry>> =>
    api.get(path, { params: { query: { limit: 50, ...query } as object }, signal });
  return (
    <>
      <ResourceList<Entry>
        of={path}
        label={label}
        read={(api, query, signal) =>
          read(api, { ...query, actor: search.actor, target: search.target }, signal)
        }
        rowKey={(entry) => entry.id}
        filters={[
          { name: "action", label: t.search },
          {
            name: "outcome",
            label: t.outcome,
            options: outcomes.map((value) => ({ value, label: t[value] })),
          },
        ]}
        extra={
          (search.actor || search.target) && (
            <Button onClick={() => change({ actor: undefined, target: undefined })}>
              {t.clear}
            </Button>
          )
        }
        columns={[
          { title: t.at, render: ({ at }) => <Time at={at} /> },
          {
            title: t.action,
            render: (entry) => (
              <button type="button" className="link mono" onClick={() => setShown(entry)}>
                {entry.action}
              </button>
            ),
          },
          {
            title: t.actor,
            render: ({ actor_name, actor_kind, impersonator }) => (
              <>
                {actor_name ?? actor_kind}
                {impersonator && <span className="warn"> ({impersonator})</span>}
              </>
            ),
          },
          { title: t.target, render: ({ target_type }) => target_type ?? "–" },
          {
            title: t.outcome,
            render: ({ outcome }) => <Pill kind={kinds[outcome]}>{t[outcome]}</Pill>,
          },
          { title: t.address, render: ({ ip }) => <span className="mono">{ip ?? "–"}</span> },
        ]}
        summary={(entries) => <Chain entries={entries} />}
        empty={<Empty title={t.empty} />}
      />
      {shown && <EntryDrawer entry={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}

/** Whether neighbours among what is shown are linked. What is filtered out can't be compared. */
function Chain({ entries }: { readonly entries: readonly Entry[] }) {
  const t = useText(texts);
  const bySeq = new Map(entries.map((entry) => [entry.seq, entry]));
  const pairs = entries.flatMap((entry) => {
    const before = bySeq.get(entry.seq - 1);
    return before ? [{ entry, linked: entry.previous_hash === before.hash }] : [];
  });
  const broken = pairs.filter(({ linked }) => !linked);
  if (pairs.length === 0) return <p className="chain quiet">{t.chainNone}</p>;
  return (
    <p className="chain" role="status">
      <Pill kind={broken.length === 0 ? "good" : "bad"}>
        {pairs.length - broken.length}/{pairs.length}
      </Pill>
      <span>
        {t.chain(pairs.length - broken.length, pairs.length)}{" "}
        {broken.length > 0 && (
          <strong className="bad">
            {t.chainBroken(broken.map(({ entry }) => entry.seq).join(", "))}
          </strong>
        )}{" "}
        <span className="quiet">{t.chainAbout}</span>
      </span>
    </p>
  );
}

function EntryDrawer({ entry, onClose }: { readonly entry: Entry; readonly onClose: () => void }) {
  useFocusBack();
  const t = useText(texts);
  const narrow = useIsNarrow();
  const [, change] = useFilters();
  const only = (filter: Search) => {
    change(filter);
    onClose();
  };
  return (
    <Drawer open title={entry.action} size={narrow ? "100%" : 560} onClose={onClose}>
      <Descriptions
        column={1}
        items={[
          { key: "seq", label: t.seq, children: entry.seq },
          { key: "at", label: t.at, children: new Date(entry.at).toISOString() },
          {
            key: "actor",
            label: t.actor,
            children: (
              <>
                {entry.actor_name ?? entry.actor_kind} <Id id={entry.actor_id} />
              </>
            ),
          },
          {
            key: "target",
            label: t.target,
            children: (
              <>
                {entry.target_type} <Id id={entry.target_id} />
              </>
            ),
          },
          { key: "ip", label: t.address, children: `${entry.ip ?? "–"} ${entry.user_agent ?? ""}` },
          { key: "request", label: t.request, children: entry.request_id ?? "–" },
          { key: "hash", label: t.hash, children: <span className="mono">{entry.hash}</span> },
          {
            key: "previous",
            label: t.previous,
            children: <span className="mono">{entry.previous_hash ?? "–"}</span>,
          },
        ]}
      />
      <div className="filters">
        {entry.actor_id && (
          <Button onClick={() => only({ actor: entry.actor_id ?? undefined })}>{t.person}</Button>
        )}
        {entry.target_id && (
          <Button onClick={() => only({ target: entry.target_id ?? undefined })}>{t.record}</Button>
        )}
      </div>
      <h3>{t.detail}</h3>
      <Json value={entry.detail} />
    </Drawer>
  );
}
