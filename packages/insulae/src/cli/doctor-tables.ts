import type pg from "pg";
import type { Installation } from "../app/installation.ts";
import { compareTables } from "../kernel/schema/feature-tables.ts";
import { asOwner } from "../kernel/tenancy/main-server.ts";
import { type Check, failure, ok, warning } from "./check.ts";
import type { PlannedPlacement } from "./migrate-status.ts";

export interface TableCheck {
  /** @param planned of the database that the client is in. */
  look(client: pg.Client, planned: readonly PlannedPlacement[]): Promise<void>;
  checks(): readonly Check[];
}

const mostShown = 10;

/** Whether the tables of each placement are those that the features list. */
export function createTableCheck({ migrations }: Installation): TableCheck {
  const problems = new Set<string>();
  const unloaded = new Set<string>();
  return {
    async look(client, planned) {
      // What is still to be migrated is told of elsewhere.
      const migrated = planned.filter(({ plan }) => plan.pending.length === 0);
      const [first] = migrated;
      if (!first) return;
      const { database } = first.placement;
      const schemas = migrated.map(({ placement }) => placement.schema);
      const found = await asOwner(client, () => compareTables(client, schemas, migrations));
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
