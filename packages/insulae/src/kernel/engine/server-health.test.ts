import { DatabaseError } from "pg";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { databaseUnavailable } from "./errors.ts";
import { createServerHealth, type ServerHealth } from "./server-health.ts";
import type { Target } from "./target.ts";

const target: Target = { serverId: "eu", database: "t_1", role: "app" };
const silent = { target, isWaiting: true, wasHeard: false };
const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
const said = (code: string) => Object.assign(new DatabaseError("no", 2, "error"), { code });

let answer: () => Promise<void>;
let probes: number;
let events: string[];
let health: ServerHealth;

beforeEach(() => {
  vi.useFakeTimers();
  probes = 0;
  events = [];
  answer = () => Promise.reject(new Error("no answer"));
  health = createServerHealth({
    probe: () => {
      probes += 1;
      return answer();
    },
    onDown: (id, { message }) => events.push(`${id} down: ${message}`),
    onUp: (id) => events.push(`${id} up`),
  });
  health.connected(target);
});
afterEach(() => {
  health.close();
  vi.useRealTimers();
});

const looks = async (number: number, ...sockets: Parameters<ServerHealth["look"]>[0][]) => {
  for (let i = 0; i < number; i += 1) health.look(sockets[i % sockets.length] ?? [silent]);
  await vi.advanceTimersByTimeAsync(0);
};

test("a silent server is asked, and is down if it does not answer", async () => {
  await looks(3);
  expect(probes).toBe(0);
  await looks(1);
  expect([probes, health.isDown("eu")]).toEqual([1, true]);
  expect(events).toEqual(["eu down: the server does not answer: no answer"]);
});

test("a slow statement is no failure: the server answers the probe", async () => {
  answer = () => Promise.resolve();
  for (let i = 0; i < 5; i += 1) await looks(4);
  expect(probes).toBe(5);
  expect(health.isDown("eu")).toBe(false);
});

test.each([
  [
    "something is heard on any connection",
    [silent, { ...silent, isWaiting: false, wasHeard: true }],
  ],
  ["nothing is expected of it", [{ ...silent, isWaiting: false }]],
])("a server is not asked while %s", async (_, sockets) => {
  await looks(20, sockets);
  expect(probes).toBe(0);
});

test("three failures to connect are enough, unless something is heard in between", async () => {
  for (let i = 0; i < 2; i += 1) health.couldNotConnect(target, refused);
  await looks(1, [{ ...silent, wasHeard: true }]);
  for (let i = 0; i < 2; i += 1) health.couldNotConnect(target, refused);
  expect(health.isDown("eu")).toBe(false);
  health.couldNotConnect(target, refused);
  expect(health.isDown("eu")).toBe(true);
});

test.each([
  ["a refusal is an answer", said("28P01"), false],
  ["a full server answers", said("53300"), false],
  ["one that starts up does not yet", said("57P03"), true],
  ["a pooler that can't reach it answers for nobody", said("08P01"), true],
  ["a control plane that can't say its URL says nothing of it", databaseUnavailable(), false],
])("%s", (_, error, down) => {
  for (let i = 0; i < 5; i += 1) health.couldNotConnect(target, error);
  expect(health.isDown("eu")).toBe(down);
});

test("one that is down is asked once a second, and is up as soon as it answers", async () => {
  await looks(4);
  await vi.advanceTimersByTimeAsync(3_000);
  expect([probes, health.isDown("eu")]).toEqual([4, true]);
  answer = () => Promise.reject(said("28P01"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(health.isDown("eu")).toBe(false);
  expect(events.at(-1)).toBe("eu up");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(probes).toBe(5);
});

test("what is forgotten is asked no more, and is not down", async () => {
  await looks(4);
  health.forget("eu");
  expect(health.isDown("eu")).toBe(false);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(probes).toBe(1);
});
