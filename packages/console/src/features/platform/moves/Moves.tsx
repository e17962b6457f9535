import type { Schemas } from "@insulae/client";
import { Link, useParams } from "@tanstack/react-router";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";
import Move, { MoveState } from "./Move.tsx";
import NewMove from "./NewMove.tsx";
import { texts } from "./texts.ts";

type Shown = Schemas["Move"];

export default function Moves() {
  const { id } = useParams({ strict: false }) as { readonly id?: string };
  return id === undefined ? <MoveList /> : <Move id={id} />;
}

const placeText = ({ isolation, server }: Shown["source"]) => `${isolation} · ${server}`;

function MoveList() {
  const t = useText(texts);
  const [search, change] = useFilters();
  return (
    <ScreenFrame
      title={t.title}
      about={t.about}
      actions={
        <ActionButton
          type="primary"
          data-new
          operation="post /platform/moves"
          onClick={() => change({ new: "yes" })}
        >
          {t.moveTenant}
        </ActionButton>
      }
    >
      <ResourceList<Shown>
        of="/platform/moves"
        label={t.title}
        everyMs={5_000}
        read={(api, query, signal) =>
          api.get("/platform/moves", {
            params: { query: { limit: 50, ...query } as object },
            signal,
          })
        }
        filters={[{ name: "tenant", label: t.tenant }]}
        rowKey={({ id }) => id}
        columns={[
          {
            title: t.tenant,
            render: ({ tenant_id }) => (
              <Link to={`/p/tenants/${tenant_id}`} className="mono">
                {tenant_id}
              </Link>
            ),
          },
          { title: t.from, render: ({ source }) => placeText(source) },
          { title: t.to, render: ({ target }) => placeText(target) },
          {
            title: t.state,
            render: (move) => (
              <Link to={`/p/moves/${move.id}`}>
                <MoveState move={move} />
              </Link>
            ),
          },
          {
            title: t.pause,
            align: "right",
            render: ({ report }) => (report.pause_ms === undefined ? "–" : t.ms(report.pause_ms)),
          },
          { title: t.started, render: ({ created_at }) => <Time at={created_at} /> },
        ]}
        empty={
          <Empty
            title={t.empty}
            command="insulae tenant move <tenant> --isolation schema --dry-run"
          />
        }
      />
      {search.new && (
        <NewMove tenant={search.for} onClose={() => change({ new: undefined, for: undefined })} />
      )}
    </ScreenFrame>
  );
}
