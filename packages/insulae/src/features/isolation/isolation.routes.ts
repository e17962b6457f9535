import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { nullable, oneOf, uuid } from "../../kernel/feature/fields.ts";
import { fitting, pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { isolations, type Placement } from "../../kernel/model/tenant.ts";
import { tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { TenantReference } from "../accounts/accounts.feature.ts";

export const sameTenant = defineError(
  "same_tenant",
  400,
  "Both are the same tenant. Name two different ones.",
);

const PlacementView = Type.Object(
  {
    id: uuid,
    server: Type.String({ description: "The server's name." }),
    database: Type.String(),
    schema: Type.String(),
    isolation: oneOf(isolations),
  },
  { $id: "PlacementPlace" },
);

const Probe = Type.Object(
  {
    name: Type.String(),
    sql: Type.String({ description: "The statement, word for word." }),
    parameters: Type.Array(Type.String()),
    scope: oneOf(["a", "b", "none"], {
      description: "The tenant in whose scope it ran; `none`: in no scope.",
    }),
    placement: PlacementView,
    rows: nullable(
      Type.Integer({ description: "At most 1,000; null if PostgreSQL refused the statement." }),
    ),
    sqlstate: nullable(Type.String({ description: "Of PostgreSQL's refusal." })),
    message: nullable(Type.String()),
    passed: Type.Boolean(),
    explanation: Type.String(),
  },
  { $id: "IsolationProbe" },
);

const Policy = Type.Object(
  {
    placement: PlacementView,
    table: Type.String(),
    policies: Type.Array(
      Type.Object({
        name: Type.String(),
        permissive: Type.Boolean(),
        command: Type.String(),
        using: nullable(Type.String()),
        with_check: nullable(Type.String()),
      }),
    ),
    enabled: Type.Boolean({ description: "Row-Level Security is on." }),
    forced: Type.Boolean({ description: "It holds for the table's owner too." }),
    owner: Type.String(),
    role: Type.String({ description: "The role that the tenants' statements run as." }),
    bypasses: Type.Boolean({ description: "Whether that role is exempt from the policies." }),
    passed: Type.Boolean(),
  },
  { $id: "IsolationPolicy" },
);

const Probes = Type.Object(
  { passed: Type.Boolean(), probes: Type.Array(Probe), policies: Type.Array(Policy) },
  { $id: "IsolationProbes" },
);

const Report = Type.Object(
  {
    ...PlacementView.properties,
    isolated: Type.Boolean({ description: "It was looked at, and nothing is wrong." }),
    problems: Type.Array(Type.Object({ object: Type.String(), problem: Type.String() })),
    error: nullable(Type.String({ description: "Why it could not be looked at." })),
    tables: Type.Array(
      Type.Object({
        name: Type.String(),
        enabled: Type.Boolean(),
        forced: Type.Boolean(),
        owner: Type.String(),
        policies: Type.Array(Type.String()),
      }),
    ),
    roles: Type.Array(
      Type.Object({
        name: Type.String(),
        owns_tables: Type.Boolean(),
        can_log_in: Type.Boolean(),
        superuser: Type.Boolean(),
        bypasses_row_security: Type.Boolean(),
      }),
    ),
  },
  { $id: "IsolationReport" },
);

const placementView =
  (nameOf: (serverId: string) => string) =>
  ({ id, serverId, database, schema, isolation }: Placement) => ({
    ...{ id, server: nameOf(serverId), database, schema, isolation },
  });

export const isolationRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/platform/isolation/probes",
    {
      permission: "platform",
      context: "core",
      audit: "isolation.probed",
      summary: "Shows with fixed statements that two tenants can't reach each other's rows",
      description:
        "Runs the same count in each tenant's scope and in none, reads and writes the other's rows, and returns the policy that prevents it. Reads at most 1,000 rows a statement, returns none of them, and changes nothing: the write is refused, and would be rolled back.",
      body: Type.Object({ a: TenantReference, b: TenantReference }),
      response: Probes,
      errors: [tenantNotFound, sameTenant],
    },
    async ({ platform, body, audit }) => {
      const a = await platform.tenants.get(body.a);
      const b = await platform.tenants.get(body.b);
      if (a.id === b.id) throw sameTenant();
      const view = placementView(platform.servers.nameOf);
      const { passed, probes, policies } = await platform.isolation.probe(a, b);
      await audit({
        action: "isolation.probed",
        target: { type: "tenant", id: a.id },
        detail: { a: a.id, b: b.id, passed },
      });
      return {
        passed,
        probes: probes.map(({ placement, parameters, rows, sqlstate, message, ...probe }) => ({
          ...probe,
          parameters: [...parameters],
          placement: view(placement),
          rows: rows ?? null,
          sqlstate: sqlstate ?? null,
          message: message ?? null,
        })),
        policies: policies.map(({ placement, policies: own, ...policy }) => ({
          ...policy,
          policies: own.map((one) => ({ ...one })),
          placement: view(placement),
        })),
      };
    },
  ),

  r.get(
    "/platform/isolation/report",
    {
      permission: "platform",
      context: "core",
      summary: "Reports on every placement what isolates its tenants, and what is wrong",
      description:
        "Looks at the tables, policies and roles of each placement. `insulae doctor` and the start of a server check the same.",
      query: pageQuery(),
      response: pageOf(Report),
    },
    async ({ platform, page: { limit, after, cursor }, log }) => {
      const view = placementView(platform.servers.nameOf);
      const found = await platform.isolation.report({ after: after[0], limit: limit + 1 });
      const items = fitting(
        found.slice(0, limit).map(({ placement, problems, error, tables, roles }) => {
          if (error) log.warn({ err: error, placement }, "A placement could not be looked at");
          return {
            ...view(placement),
            isolated: error === undefined && problems.length === 0,
            problems: problems.map((one) => ({ ...one })),
            error: error === undefined ? null : "The placement's database cannot be reached.",
            tables: tables.map(({ policies, ...table }) => ({ ...table, policies: [...policies] })),
            roles: roles.map((role) => ({ ...role })),
          };
        }),
      );
      const last = items.at(-1);
      const next_cursor = last && found.length > items.length ? cursor.encode([last.id]) : null;
      return { items, next_cursor };
    },
  ),
];
