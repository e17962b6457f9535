import { startDatabase } from "./database.ts";
import { tenantCount } from "./dataset.ts";
import { installInsulae } from "./insulae.ts";
import type { Options, ScenarioName } from "./options.ts";
import { isBusy, machine, markdown } from "./report.ts";
import type { Bench, Section } from "./scenario.ts";
import { checks } from "./scenarios/checks.ts";
import { clients } from "./scenarios/clients.ts";
import { databases } from "./scenarios/databases.ts";
import { flood } from "./scenarios/flood.ts";
import { limits } from "./scenarios/limits.ts";
import { memory } from "./scenarios/memory.ts";
import { moves } from "./scenarios/moves.ts";
import { provisioning } from "./scenarios/provisioning.ts";
import { refusals } from "./scenarios/refusals.ts";
import { revocation } from "./scenarios/revocation.ts";
import { schemas } from "./scenarios/schemas.ts";
import { sickServer } from "./scenarios/sick-server.ts";
import { signIns } from "./scenarios/sign-ins.ts";
import { soak } from "./scenarios/soak.ts";
import { start } from "./scenarios/start.ts";
import { tenants } from "./scenarios/tenants.ts";
import { throughput } from "./scenarios/throughput.ts";
import { viewers } from "./scenarios/viewers.ts";
import { workers } from "./scenarios/workers.ts";

type Scenario = (bench: Bench) => Promise<Section>;

const scenarios: readonly (readonly [readonly ScenarioName[], Scenario])[] = [
  [["list", "one", "insert"], throughput],
  [["memory"], memory],
  [["flood"], flood],
  [["flood"], refusals],
  [["provisioning"], provisioning],
  [["moves"], moves],
  [["schemas"], schemas],
  [["databases"], databases],
  [["start"], start],
  [["limits"], limits],
  [["clients"], clients],
  [["signins"], signIns],
  [["checks"], checks],
  [["revocation"], revocation],
  [["soak"], soak],
  [["viewers"], viewers],
  [["sick-server"], sickServer],
  [["workers"], workers],
  // Last, because its tenants would affect the others.
  [["tenants"], tenants],
];

/** Runs the selected scenarios. @returns the report: Markdown, or JSON with `--json` */
export async function runBenchmark(options: Options): Promise<string> {
  const progress = (text: string) => console.error(`  ${text}`);
  progress("starting PostgreSQL");
  const database = await startDatabase();
  try {
    const on = machine(await database.connected(serverVersion));
    if (isBusy(on))
      progress(`the machine is busy (load ${on.loadBefore.toFixed(1)}): figures will be low`);
    const insulae = once(() => {
      progress(`writing ${tenantCount} tenants`);
      return installInsulae(database);
    });
    const sections: Section[] = [];
    for (const [names, scenario] of scenarios) {
      if (!names.some((name) => options.only.has(name))) continue;
      sections.push(await scenario({ options, database, insulae, progress }));
    }
    return options.json
      ? JSON.stringify({ machine: on, sections }, undefined, 2)
      : markdown(on, sections);
  } finally {
    await database.stop();
  }
}

function once<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

async function serverVersion(client: {
  query(text: string): Promise<{ rows: { server_version: string }[] }>;
}): Promise<string> {
  const { rows } = await client.query("show server_version");
  return rows[0]?.server_version ?? "";
}
