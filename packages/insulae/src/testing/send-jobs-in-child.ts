/**
 * A process for tests to kill: in each of its tenants it endlessly writes contacts and sends a job
 * for each, in one transaction, several concurrently. Prints `ready` once it has begun.
 */
import { Type } from "typebox";
import { createApp } from "../app/app.ts";
import type { Config } from "../config/config.ts";
import { standardFeatures } from "../features/index.ts";
import { feature } from "../kernel/feature/feature.ts";
import { job } from "../kernel/feature/job.ts";

interface Work {
  readonly config: Partial<Config>;
  readonly tenants: readonly string[];
}

const noted = job("crash.noted", {
  data: Type.Object({ contact_id: Type.String() }),
  run: async () => {},
});

// written by the test that starts this
const { config, tenants } = JSON.parse(process.argv[2] ?? "") as Work;
const features = [...standardFeatures, feature("crash", { jobs: [noted] })];
const app = await createApp({ features, env: {}, config });

const write = (tenant: string): Promise<void> =>
  app.withTenant(tenant, ({ db, jobs }) =>
    db.transaction().execute(async (tx) => {
      const [row] = await tx
        .getExecutor()
        .executeQuery<{ id: string }>({
          sql: "insert into contacts (name) values ('somebody') returning id",
          parameters: [],
          query: { kind: "RawNode", sqlFragments: [], parameters: [] },
          queryId: { queryId: "" },
        })
        .then(({ rows }) => rows);
      await jobs.send(noted, { contact_id: row?.id ?? "" }, { tx });
    }),
  );

const forEver = async (tenant: string): Promise<void> => {
  for (;;) await write(tenant);
};
await Promise.all(tenants.map(write));
process.stdout.write("ready\n");
await Promise.all(tenants.flatMap((tenant) => [1, 2, 3].map(() => forEver(tenant))));
