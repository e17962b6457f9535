import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createLimiter } from "../http/limits/limiter.ts";
import { createSocketShares } from "../http/sockets/socket-shares.ts";
import { exactShareOf, shareOf } from "../lib/worker-share.ts";
import { createLogHub } from "../telemetry/log-hub.ts";
import { counter, createMetrics } from "../telemetry/metrics.ts";
import { createWorkersHub } from "./hub.ts";
import { createLineBatches, type OwnedLine } from "./line-batches.ts";
import { createWorkerLink } from "./link.ts";
import { type Channel, createPeer } from "./peer.ts";

/** Both ends of a channel between processes: messages arrive later, as JSON. */
function channels(): [Channel, Channel] {
  const handlers: ((message: unknown) => void)[] = [];
  const end = (own: number, other: number): Channel => ({
    send: (message) => {
      const text = JSON.stringify(message);
      setImmediate(() => handlers[other]?.(JSON.parse(text)));
    },
    onMessage: (handle) => {
      handlers[own] = handle;
    },
  });
  return [end(0, 1), end(1, 0)];
}

function node(workers: number) {
  const hub = createWorkersHub({
    metrics: async () => "# HELP up Up\n# TYPE up gauge\nup 1\n",
    metricsTimeoutMs: 100,
  });
  const links = Array.from({ length: workers }, (_, index) => {
    const [here, there] = channels();
    const leave = hub.add(index + 1, createPeer(there));
    return { link: createWorkerLink(index + 1, workers, createPeer(here)), leave };
  });
  return { hub, links };
}

const charge = (key: string, perMinute: number) => ({ policy: "tenant", key, perMinute }) as const;

describe("rate limits", () => {
  it("apply to all workers together, and none refuses while another has used nothing", async () => {
    const { links } = node(3);
    const limiters = links.map(({ link }) => createLimiter({ takeFromPrimary: link.take }));
    const take = async (at: number) => (await limiters[at]?.take([charge("a", 9)]))?.refused;
    // Nearly all by one worker, as with one kept connection.
    for (let i = 0; i < 8; i += 1) expect(await take(0)).toBe(-1);
    const last = await Promise.all([take(0), take(1), take(2), take(1), take(2)]);
    expect(last.filter((refused) => refused === -1)).toHaveLength(1);
    expect(await take(2)).toBe(0);
  });

  it("charge none of a request's buckets if one is empty", async () => {
    const { links } = node(2);
    const [one, two] = links.map(({ link }) => createLimiter({ takeFromPrimary: link.take }));
    const both = [charge("a", 3), charge("b", 1)];
    expect((await one?.take(both))?.refused).toBe(-1);
    expect((await two?.take(both))?.refused).toBe(1);
    expect((await two?.take([charge("a", 3)]))?.refused).toBe(-1);
    expect((await two?.take([charge("a", 3)]))?.refused).toBe(-1);
    expect((await two?.take([charge("a", 3)]))?.refused).toBe(0);
  });

  it("ask the primary once for all requests of a turn, and not for buckets known to be empty", async () => {
    const [here, there] = channels();
    let messages = 0;
    const counting: Channel = {
      ...here,
      send: (message) => {
        messages += 1;
        here.send(message);
      },
    };
    createWorkersHub({ metrics: async () => "" }).add(1, createPeer(there));
    const { take } = createWorkerLink(1, 1, createPeer(counting));
    const limiter = createLimiter({ takeFromPrimary: take });
    await Promise.all(Array.from({ length: 50 }, () => limiter.take([charge("a", 20)])));
    expect(messages).toBe(1);
    for (let i = 0; i < 50; i += 1) await limiter.take([charge("a", 20)]);
    expect(messages).toBe(1);
  });
});

describe("live logs", () => {
  const socket = (sent: string[]) => {
    let leave = () => {};
    return {
      sendFrames(frames: Buffer, done: () => void) {
        sent.push(frames.toString());
        done();
      },
      onLeft: (left: () => void) => {
        leave = left;
      },
      leave: () => leave(),
    };
  };

  it("show the lines of all workers, each to its tenant, and those of the primary, once", async () => {
    const { hub, links } = node(2);
    const hubs = [hub.logs, ...links.map(({ link }) => link.logs)].map((peers) =>
      createLogHub({ format: "text", bufferSize: 100, peers }),
    );
    const logs = hubs.map((one) => one.tap(pino({ level: "warn" }, { write() {} })));
    const [all, acme]: [string[], string[]] = [[], []];
    const viewer = socket(all);
    hubs[1]?.watch(viewer, {});
    hubs[1]?.watch(socket(acme), { tenantId: "acme" });
    await expect.poll(() => logs[2]?.level).toBe("info");
    for (const [index, log] of logs.entries()) log.info({ tenant_id: "acme" }, `line ${index}`);
    logs[2]?.info({ tenant_id: "other" }, "line of another");
    await expect
      .poll(() =>
        all
          .join("")
          .match(/line \S+/g)
          ?.toSorted(),
      )
      .toEqual(["line 0", "line 1", "line 2", "line of"]);
    await expect
      .poll(() =>
        acme
          .join("")
          .match(/line \S+/g)
          ?.toSorted(),
      )
      .toEqual(["line 0", "line 1", "line 2"]);
    viewer.leave();
  });

  it("cost nothing once nobody watches anywhere, or the viewer's worker has died", async () => {
    const { links } = node(3);
    const hubs = links.map(({ link }) =>
      createLogHub({ format: "text", bufferSize: 100, peers: link.logs }),
    );
    const logs = hubs.map((one) => one.tap(pino({ level: "warn" }, { write() {} })));
    const [first, second] = [socket([]), socket([])];
    hubs[0]?.watch(first, {});
    hubs[1]?.watch(second, {});
    await expect.poll(() => logs[2]?.level).toBe("info");
    first.leave();
    await expect.poll(() => logs[1]?.level).toBe("info"); // it is watched itself
    await expect.poll(() => logs[0]?.level).toBe("info");
    links[1]?.leave();
    await expect.poll(() => [logs[0]?.level, logs[2]?.level]).toEqual(["warn", "warn"]);
  });

  it("start at once on a replacement worker, as soon as it listens", async () => {
    const { hub, links } = node(1);
    createLogHub({
      ...{ format: "text", bufferSize: 100 },
      peers: links[0]?.link.logs,
    }).watch(socket([]), {});
    const [here, there] = channels();
    hub.add(2, createPeer(there));
    const peer = createPeer(here);
    // Its start takes a while.
    await nextTurn();
    await nextTurn();
    const log = createLogHub({
      ...{ format: "text", bufferSize: 100 },
      peers: createWorkerLink(2, 2, peer).logs,
    }).tap(pino({ level: "warn" }, { write() {} }));
    await expect.poll(() => log.level).toBe("info");
  });

  it("report how many lines were dropped", async () => {
    const sent: OwnedLine[] = [];
    const { add } = createLineBatches("worker 2", (lines) => void sent.push(...lines));
    for (let i = 0; i < 10; i += 1) add("x".repeat(100_000), 30, undefined);
    await expect.poll(() => sent.length).toBe(3);
    expect(JSON.parse(sent[2]?.line ?? "").msg).toMatch(/^8 lines of worker 2 were dropped/);
  });
});

describe("metrics", () => {
  const visits = counter("visits_total", "Visits", ["page"]);

  it("cover all workers, whichever is asked, without one that hangs", async () => {
    const { links } = node(3);
    for (const [index, { link }] of links.entries()) {
      const metrics = createMetrics();
      metrics.counter(visits, { page: 'a "b"' }).add(index + 1);
      // The third never responds.
      link.onMetrics(index === 2 ? () => new Promise(() => {}) : metrics.text);
    }
    const expected = [
      "# HELP up Up",
      "# TYPE up gauge",
      'up{worker="primary"} 1',
      "# HELP visits_total Visits",
      "# TYPE visits_total counter",
      'visits_total{worker="1",page="a \\"b\\""} 1',
      'visits_total{worker="2",page="a \\"b\\""} 2',
      "",
    ].join("\n");
    expect(await links[0]?.link.allMetrics()).toBe(expected);
    expect(await links[1]?.link.allMetrics()).toBe(expected);
  });
});

describe("WebSockets", () => {
  const owner = { person: "acme/ada", group: "acme", isPlatformAdmin: false };

  it("of one person are limited to ten over all workers, and those of a dead worker are gone", async () => {
    const { hub, links } = node(2);
    const [one, two] = links.map(({ link }) => createSocketShares(link.sockets));
    for (let i = 0; i < 6; i += 1) one?.add(owner);
    const close = Array.from({ length: 4 }, () => two?.add(owner));
    await expect.poll(() => one?.refusal(owner)?.code).toBe("too_many_sockets");
    await expect.poll(() => two?.refusal(owner)?.code).toBe("too_many_sockets");
    close[0]?.();
    await expect.poll(() => one?.refusal(owner)).toBeUndefined();
    one?.add(owner);
    await expect.poll(() => two?.refusal(owner)?.code).toBe("too_many_sockets");

    // A third one learns the current state.
    const [here, there] = channels();
    hub.add(3, createPeer(there));
    const third = createSocketShares(createWorkerLink(3, 3, createPeer(here)).sockets);
    await expect.poll(() => third.refusal(owner)?.code).toBe("too_many_sockets");
    links[0]?.leave();
    await expect.poll(() => two?.refusal(owner)).toBeUndefined();
    await expect.poll(() => third.refusal(owner)).toBeUndefined();
  });
});

describe("shares", () => {
  it("are at least one, or sum up exactly to the whole", () => {
    expect([shareOf(16, 3), shareOf(4, 8)]).toEqual([5, 1]);
    expect([1, 2, 3].map((worker) => exactShareOf(10, worker, 3))).toEqual([4, 3, 3]);
    expect([1, 2, 3].map((worker) => exactShareOf(2, worker, 3))).toEqual([1, 1, 0]);
  });
});

describe("a peer", () => {
  it("gets the error of a failed request", async () => {
    const [here, there] = channels();
    const [one, other] = [createPeer(here), createPeer(there)];
    other.on("work", () => {
      throw new Error("no");
    });
    await expect(one.ask("work")).rejects.toThrow("no");
  });
});
