/** A mover dies, or stands still, at every step: the tenant is served by one place, and nothing is lost. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { moveTables, placementOfTenant, writeTo } from "../../testing/move-writer.ts";
import { contentOf, createMovingTenant, moverOf } from "../../testing/moving-tenants.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { until } from "../../testing/until.ts";
import { createMoves } from "./moves.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([await testFeature("movable", [moveTables])]);
});
afterAll(() => installation?.close());

const moves = () => createMoves(installation);
const child = fileURLToPath(new URL("../../testing/move-in-child.ts", import.meta.url));

const moveInChild = (move: string, step: string, signal: "SIGKILL" | "SIGSTOP"): ChildProcess =>
  spawn(process.execPath, [child, JSON.stringify({ url: installation.url, move, step, signal })], {
    stdio: ["ignore", "pipe", "inherit"],
  });

const steps = [
  "planned",
  "captured",
  "copying",
  "following",
  "compared",
  "closing",
  "locked",
  "closed",
  "switched",
  "settled",
] as const;

/** Takes the move over as soon as its lease has run out. */
const takeOver = (id: string) =>
  until("the move is taken over", () => moverOf(installation).run(id));

describe("a mover", () => {
  test.each(steps)("that fails once at '%s' goes on by itself", async (step) => {
    const id = await createMovingTenant(installation, "pool", 300);
    const before = await contentOf(installation, id);
    const writer = await writeTo(installation, id, 2);
    const move = await moves().start(id, { isolation: "schema" });
    let failures = 0;
    const mover = moverOf(installation, {
      at: (reached) => {
        if (reached !== step || failures > 0) return;
        failures += 1;
        throw new Error("something failed");
      },
    });
    await mover.run(move.id);
    expect(failures).toBe(1);
    expect((await moves().get(move.id)).state).toBe("kept");
    expect((await placementOfTenant(installation, id)).isolation).toBe("schema");
    expect(await contentOf(installation, id)).toBe(before);
    await writer.stop();
  });

  test.each(steps)("that is killed at '%s' is taken over", async (step) => {
    const id = await createMovingTenant(installation, "pool", 300);
    const before = await contentOf(installation, id);
    const writer = await writeTo(installation, id, 2);
    const move = await moves().start(id, { isolation: "database" });
    const [, signal] = await once(moveInChild(move.id, step, "SIGKILL"), "exit");
    expect(signal).toBe("SIGKILL");
    await takeOver(move.id);
    expect((await moves().get(move.id)).state).toBe("kept");
    expect((await placementOfTenant(installation, id)).isolation).toBe("database");
    expect(await contentOf(installation, id)).toBe(before);
    const written = writer.writes();
    await until("the tenant is written to", () => writer.writes() > written + 20);
    await writer.stop();
  });

  test.each(["copying", "closing", "locked", "closed", "switched"] as const)(
    "that stands still at '%s' changes nothing when it wakes",
    async (step) => {
      const id = await createMovingTenant(installation, "pool", 300);
      const before = await contentOf(installation, id);
      const writer = await writeTo(installation, id, 2);
      const move = await moves().start(id, { isolation: "database" });
      const paused = moveInChild(move.id, step, "SIGSTOP");
      const exit = once(paused, "exit");
      await once(paused.stdout ?? paused, "data");
      await takeOver(move.id);
      const after = await moves().get(move.id);
      expect(after.state).toBe("kept");
      paused.kill("SIGCONT");
      await exit;
      expect(await moves().get(move.id)).toEqual(after);
      expect(await contentOf(installation, id)).toBe(before);
      await writer.stop();
    },
  );

  test.each(steps.slice(0, 6))(
    "that is told to abort at '%s' leaves the tenant where it is",
    async (step) => {
      const id = await createMovingTenant(installation, "pool", 300);
      const before = await contentOf(installation, id);
      const writer = await writeTo(installation, id, 2);
      const move = await moves().start(id, { isolation: "schema" });
      const mover = moverOf(installation, {
        at: async (reached) => {
          if (reached === step) await moves().abort(move.id);
        },
      });
      await mover.run(move.id);
      const aborted = await moves().get(move.id);
      expect(aborted.state).toBe("aborted");
      const written = writer.writes();
      await until("the tenant is written to", () => writer.writes() > written + 20);
      await writer.stop();
      expect((await placementOfTenant(installation, id)).isolation).toBe("pool");
      expect(await contentOf(installation, id)).toBe(before);
      // Nothing stands in the way of another move.
      const again = await moves().start(id, { isolation: "schema" });
      await moverOf(installation).run(again.id);
      expect((await moves().get(again.id)).state).toBe("kept");
    },
  );
});
