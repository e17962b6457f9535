import type pg from "pg";
import { compareTables } from "../kernel/schema/feature-tables.ts";
import { asOwner } from "../kernel/tenancy/main-server.ts";
import { type Check, failure, ok, warning } from "./check.ts";
import type { Examined, PlannedPlacement } from "./placement-states.ts";

export interface TableCheck {
  /** @param planned the placements in the client's database */
  look(client: pg.Client, planned: readonly PlannedPlacement[]): Promise<void>;
  checks(): readonly Check[];
}

const mostShown = 10;

/** Whether each placement has exactly the tables that the features list. */
export function createTableCheck({ migrations }: Examined): TableCheck {
  const problems = new Set<string>();
  const unloaded = new Set<string>();
  return {
    async look(client, planned) {
      // Another check reports placements that are not migrated.
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
        .map((problem) => failure("tables", problem, "the server does not start until they agree"));
      if (unloaded.size > 0) {
        const names = [...unloaded].slice(0, mostShown).join(", ");
        checks.push(
          warning(
            "tables",
            `tables of features that are not loaded: ${names}`,
            "if they belong to an application, use --app; if this one used to have the features, name them in its `retired`; otherwise load the features or drop the tables",
          ),
        );
      }
      return checks.length > 0 ? checks : [ok("tables", "exactly those that the features list")];
    },
  };
}
