import type pg from "pg";
import type { Installation } from "../installation.ts";
import { compareTables } from "../kernel/database/feature-tables.ts";
import type { MigrationPlan } from "../kernel/database/ledger.ts";
import { asOwner } from "../kernel/tenancy/main-server.ts";
import type { Placement } from "../kernel/tenancy/tenant.ts";
import { type Check, failure, ok, warning } from "./check.ts";

export interface TableCheck {
  look(client: pg.Client, placement: Placement, plan: MigrationPlan): Promise<void>;
  checks(): readonly Check[];
}

const mostShown = 10;

/** Whether the tables of each placement are those that the features list. */
export function createTableCheck({ migrations }: Installation): TableCheck {
  const problems = new Set<string>();
  const unloaded = new Set<string>();
  return {
    async look(client, { database, schema }, { pending }) {
      // What is still to be migrated is told of elsewhere.
      if (pending.length > 0) return;
      const found = await asOwner(client, () => compareTables(client, schema, migrations));
      for (const problem of found.problems) problems.add(`${database}: ${problem}`);
      for (const table of found.unloaded) unloaded.add(table);
    },
    checks() {
      const checks: Check[] = [...problems]
        .slice(0, mostShown)
        .map((problem) =>
          failure("tables", problem, "the server does not start before the two agree"),
        );
      if (unloaded.size > 0) {
        const names = [...unloaded].slice(0, mostShown).join(", ");
        checks.push(
          warning(
            "tables",
            `of features that are not loaded here: ${names}`,
            "an application with features of its own has more than this command knows; otherwise load them, or drop the tables",
          ),
        );
      }
      return checks.length > 0 ? checks : [ok("tables", "those that the features list")];
    },
  };
}
