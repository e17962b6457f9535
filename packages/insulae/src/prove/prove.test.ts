import { afterAll, beforeAll, expect, test } from "vitest";
import { coreFeatures, standardFeatures } from "../features/index.ts";
import { createTestInstallation, type TestInstallation } from "../testing/test-installation.ts";
import { mutants } from "./mutants.ts";
import { isProven, proveTables } from "./prove.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([...coreFeatures, ...standardFeatures]);
});
afterAll(() => installation?.close());

const databases = async () => {
  const client = await installation.open("owner");
  const { rows } = await client.query<{ name: string }>(
    "select datname as name from pg_database where datname like 'insulae\\_prove\\_%'",
  );
  await client.end();
  return rows;
};

test("every fault in every table is noticed, and the scratch database is gone", async () => {
  const proof = await proveTables(installation);
  expect(proof.unfilled).toEqual([]);
  expect(proof.broken).toEqual([]);
  expect(proof.tables).toBeGreaterThan(20);
  expect(proof.mutants.map(({ name }) => name)).toEqual(mutants.map(({ name }) => name));
  for (const { name, made, byProbes, byCheck, survivors } of proof.mutants) {
    expect(survivors, name).toEqual([]);
    expect(made, name).toBeGreaterThan(20);
    expect(byProbes + byCheck, name).toBe(made);
  }
  expect(isProven(proof)).toBe(true);
  expect(await databases()).toEqual([]);
}, 120_000);

test("a fault that nothing notices is a survivor", async () => {
  const harmless = { name: "a comment", sql: () => "comment on schema data is 'a comment'" };
  const proof = await proveTables(installation, [harmless]);
  expect(proof.mutants[0]?.survivors).toContain("contacts");
  expect(isProven(proof)).toBe(false);
}, 120_000);
