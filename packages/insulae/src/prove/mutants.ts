/** Single faults in what isolates a table. Each has to be noticed by a probe or by the boot's check. */
import { appRole, dataRole } from "../kernel/schema/roles.ts";
import { literal, type ProvenTable, quote } from "./tables.ts";

export interface Mutant {
  readonly name: string;
  /** The statements of the owner that make the fault; undefined where the table has no such thing. */
  readonly sql: (table: ProvenTable) => string | undefined;
}

const withPolicy =
  (sql: (label: string, policy: string) => string) =>
  ({ label, policy }: ProvenTable): string | undefined =>
    policy === undefined ? undefined : sql(label, quote(policy));

export const mutants: readonly Mutant[] = [
  {
    name: "Row-Level Security is off",
    sql: ({ label }) => `alter table ${label} disable row level security`,
  },
  {
    name: "it does not hold for the owner",
    sql: ({ label }) => `alter table ${label} no force row level security`,
  },
  {
    name: "the policy is dropped",
    sql: withPolicy((label, policy) => `drop policy ${policy} on ${label}`),
  },
  {
    name: "the policy shows all rows",
    sql: withPolicy((label, policy) => `alter policy ${policy} on ${label} using (true)`),
  },
  {
    name: "the policy lets all rows be written",
    sql: withPolicy((label, policy) => `alter policy ${policy} on ${label} with check (true)`),
  },
  {
    name: "a second policy shows all rows",
    sql: ({ label }) => `create policy leak on ${label} using (true)`,
  },
  {
    name: "the policy shows all rows without a scope",
    sql: withPolicy(
      (label, policy) => `alter policy ${policy} on ${label} using
        (tenant_id = app.current_tenant_id() or app.current_tenant_id() is null)`,
    ),
  },
  {
    name: "the primary key is without the tenant",
    sql({ label, primaryKey }) {
      const rest = primaryKey?.columns.filter((column) => column !== "tenant_id") ?? [];
      if (!primaryKey || rest.length === 0) return undefined;
      return `alter table ${label} drop constraint ${quote(primaryKey.name)} cascade,
        add primary key (${rest.map(quote).join(", ")})`;
    },
  },
  {
    name: "a unique index is without the tenant",
    sql({ label, primaryKey }) {
      const [column] = primaryKey?.columns.filter((each) => each !== "tenant_id") ?? [];
      return column && `create unique index on ${label} (${quote(column)})`;
    },
  },
  {
    name: "everybody may read the table",
    sql: ({ label }) => `grant select on ${label} to public`,
  },
  {
    name: "the application may empty the table",
    sql: ({ label }) => `grant truncate on ${label} to ${dataRole}`,
  },
  {
    name: "a view shows the table with its owner's rights",
    sql: ({ label, name }) => {
      const view = label.replace(quote(name), quote(`${name}_leak`));
      return `create view ${view} as select * from ${label}; grant select on ${view} to ${dataRole}`;
    },
  },
  {
    name: "a function reads the table with its owner's rights",
    sql: ({ label, name }) => {
      const of = label.replace(quote(name), quote(`${name}_leak`));
      return `create function ${of}() returns setof ${label} language sql security definer
        as ${literal(`select * from ${label}`)}; grant execute on function ${of}() to ${appRole}`;
    },
  },
  {
    name: "a foreign key, and the index that it needs, are without the tenant",
    sql({ label, primaryKey }) {
      const [id] = primaryKey?.columns.filter((each) => each !== "tenant_id") ?? [];
      if (id === undefined || primaryKey?.columns.length !== 2) return undefined;
      return `create unique index on ${label} (${quote(id)});
        alter table ${label} add foreign key (${quote(id)}) references ${label} (${quote(id)}) not valid`;
    },
  },
];
