import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { moveStates } from "../../kernel/model/move.ts";
import { isolations } from "../../kernel/model/tenant.ts";
import type { Move } from "../../kernel/moves/move-record.ts";
import {
  mostKeepHours,
  moveNotAbortable,
  moveNotFound,
  nothingToRevert,
  placedThere,
} from "../../kernel/moves/moves.ts";
import { moveUnderWay, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { serverNotFound } from "../../kernel/tenancy/servers.ts";

const count = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }));

const MovePlaceView = Type.Object(
  {
    server: Type.String({ description: "The server's name." }),
    isolation: oneOf(isolations),
    database: Type.Optional(Type.String()),
    schema: Type.Optional(Type.String()),
  },
  { $id: "MovePlace" },
);

const MoveView = Type.Object(
  {
    id: uuid,
    tenant_id: uuid,
    kind: oneOf(["move", "restore", "revert"]),
    state: oneOf(moveStates, {
      description:
        "planned, capturing, copying, following, closing (writers wait), switched (the tenant is at the target), kept (the source is kept behind its fence), clearing, done; undoing, aborted.",
    }),
    source: MovePlaceView,
    target: MovePlaceView,
    progress: Type.Object({
      rows: count("Rows copied so far."),
      rows_total: count("Rows that there were when copying began."),
      table: Type.Optional(Type.String({ description: "The table that was copied last." })),
      lag_rows: count("Changed rows that the last round moved: how far the target is behind."),
      rounds: count("Rounds so far."),
      estimated_pause_ms: count("For how long writers would wait if it cut over now."),
    }),
    report: Type.Object(
      {
        tables: count("Tables."),
        rows: count("Rows copied before the changes since."),
        copy_ms: count("How long copying took."),
        rows_per_second: count("Rows copied per second."),
        compared_before: count("Rows compared, by counts and sums, while the tenant wrote."),
        compared_at_cut_over: count("Rows compared as they were at the cut-over."),
        pause_ms: count("For how long writers waited at the cut-over."),
        lock_ms: count("Of the pause: for the locks."),
        round_ms: count("Of the pause: for the last round."),
        commit_ms: count("Of the pause: for the control plane."),
        lock_attempts: count("How often the cut-over was tried."),
        moved_in_pause: count("Changed rows that moved while writers waited."),
      },
      { description: "What has been measured so far." },
    ),
    attempts: Type.Integer({ description: "Failed attempts in the present state." }),
    abort_wanted: Type.Boolean(),
    error: nullable(Type.String({ description: "What went wrong last." })),
    keep_until: Type.Union([timestamp, Type.Null()], {
      description: "Until when the source is kept; revert is possible until then.",
    }),
    created_at: timestamp,
    state_at: timestamp,
  },
  { $id: "Move" },
);

/** A move as the API shows it. */
export const viewOfMove = ({
  tenantId: tenant_id,
  keepUntil,
  keepSeconds: _,
  abortWanted: abort_wanted,
  error,
  createdAt: created_at,
  stateAt: state_at,
  ...move
}: Move) => ({
  ...move,
  tenant_id,
  abort_wanted,
  error: error ?? null,
  keep_until: keepUntil ?? null,
  created_at,
  state_at,
});

const TenantReference = Type.String({
  minLength: 1,
  maxLength: 63,
  description: "The tenant's id, key, slug or number.",
  examples: ["acme"],
});

const NewMove = Type.Object({
  tenant: TenantReference,
  isolation: oneOf(isolations),
  server: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 63,
      description: "The id or name of the server to move to; default: the tenant's own.",
    }),
  ),
  keep_hours: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: mostKeepHours,
      description: "How long the source is kept; default 24. At least two minutes.",
    }),
  ),
});

const platformOnly = { permission: "platform", context: "core" } as const;

const entryOf = (action: `tenant.${string}`, { id, tenantId, source, target }: Move) => ({
  action,
  target: { type: "tenant", id: tenantId },
  detail: { move: id, source, target },
});

const tenantOf = ({ tenants }: Platform, reference: string) => tenants.get(reference);

export const moveRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/platform/moves",
    {
      ...platformOnly,
      summary: "Lists the moves of tenants, newest first",
      query: pageQuery({ tenant: Type.Optional(TenantReference) }),
      response: pageOf(MoveView),
      errors: [tenantNotFound],
    },
    async ({ platform, query, page: { limit, after, cursor } }) => {
      const tenant =
        query.tenant === undefined ? undefined : (await tenantOf(platform, query.tenant)).id;
      const found = await platform.moves.list({ tenant, before: after[0], limit: limit + 1 });
      const items = found.slice(0, limit).map(viewOfMove);
      const last = items.at(-1);
      const next_cursor = last && found.length > limit ? cursor.encode([last.id]) : null;
      return { items, next_cursor };
    },
  ),

  r.post(
    "/platform/moves",
    {
      ...platformOnly,
      audit: "tenant.move_started",
      summary: "Moves a tenant to another isolation or server, while it is used",
      description:
        "A node begins within a second. No acknowledged write is lost; writers wait for a moment at the cut-over, readers never.",
      body: NewMove,
      response: { 202: MoveView },
      errors: [tenantNotFound, serverNotFound, placedThere, moveUnderWay],
    },
    async ({ platform, body, audit }) => {
      const { id } = await tenantOf(platform, body.tenant);
      const { isolation, server, keep_hours: hours } = body;
      const keepSeconds = hours === undefined ? undefined : hours * 3_600;
      const move = await platform.moves.start(id, { isolation, server, keepSeconds });
      await audit(entryOf("tenant.move_started", move));
      return viewOfMove(move);
    },
  ),

  r.get(
    "/platform/moves/:id",
    {
      ...platformOnly,
      summary: "Returns a move with its progress",
      params: idParams,
      response: MoveView,
      errors: [moveNotFound],
    },
    async ({ platform, params }) => viewOfMove(await platform.moves.get(params.id)),
  ),

  r.post(
    "/platform/moves/:id/abort",
    {
      ...platformOnly,
      audit: "tenant.move_aborted",
      summary: "Undoes a move that has not cut over",
      description: "The tenant stays where it is; what was copied is deleted.",
      params: idParams,
      response: { 202: MoveView },
      errors: [moveNotFound, moveNotAbortable],
    },
    async ({ platform, params, audit }) => {
      const move = await platform.moves.abort(params.id);
      await audit(entryOf("tenant.move_aborted", move));
      return viewOfMove(move);
    },
  ),

  r.post(
    "/platform/moves/:id/revert",
    {
      ...platformOnly,
      audit: "tenant.move_reverted",
      summary: "Moves a tenant back to the place that is kept, with everything written since",
      params: idParams,
      response: { 202: MoveView },
      errors: [moveNotFound, nothingToRevert, moveUnderWay],
    },
    async ({ platform, params, audit }) => {
      const { tenantId } = await platform.moves.get(params.id);
      const move = await platform.moves.revert(tenantId);
      await audit(entryOf("tenant.move_reverted", move));
      return viewOfMove(move);
    },
  ),

  r.post(
    "/platform/moves/:id/release",
    {
      ...platformOnly,
      audit: "tenant.move_released",
      summary: "Deletes the kept source of a move now",
      description: "The move can't be reverted any more.",
      params: idParams,
      response: { 202: MoveView },
      errors: [moveNotFound, nothingToRevert],
    },
    async ({ platform, params, audit }) => {
      const move = await platform.moves.release(params.id);
      await audit(entryOf("tenant.move_released", move));
      return viewOfMove(move);
    },
  ),
];
