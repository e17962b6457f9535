import { describe, expect, it } from "vitest";
import { testServer } from "./test-server.ts";

const down = () => Promise.reject(new Error("password authentication failed"));

describe("health", () => {
  it("is public, and does not identify the caller", async () => {
    const { app } = testServer([], {
      identify: () => {
        throw new Error("the control plane is down");
      },
    });
    const { timestamp, ...rest } = (await app.inject("/health")).json();
    expect(rest).toEqual({ status: "healthy", version: "1.2.3" });
    expect(Math.abs(Date.now() - Date.parse(timestamp))).toBeLessThan(5_000);
    expect((await app.inject("/health/live")).json()).toEqual({ status: "alive" });
    expect((await app.inject("/health/db")).json()).toEqual({ database: "healthy" });
    const ready = await app.inject("/health/ready");
    expect(ready.statusCode).toBe(200);
    expect(ready.json()).toEqual({
      status: "ready",
      dependencies: { database: { status: "up", latency_ms: expect.any(Number) } },
    });
  });

  it("names what is down, without details", async () => {
    const { app, lines } = testServer([], {
      health: { database: down, others: { cache: async () => {} } },
    });
    const ready = await app.inject("/health/ready");
    expect(ready.statusCode).toBe(503);
    expect(ready.json()).toEqual({
      status: "unavailable",
      dependencies: {
        database: { status: "down", latency_ms: expect.any(Number) },
        cache: { status: "up", latency_ms: expect.any(Number) },
      },
    });
    const db = await app.inject("/health/db");
    expect([db.statusCode, db.json().detail]).toEqual([503, "Database unhealthy"]);
    expect(db.body + ready.body).not.toContain("password");
    expect(JSON.stringify(lines)).toContain("password authentication failed");
    expect((await app.inject("/health")).statusCode).toBe(200);
  });

  it("is degraded but ready without an optional dependency", async () => {
    const throwing = () => {
      throw new Error("at once");
    };
    const others = { redis: down, mail: throwing, storage: async () => {} };
    const { app } = testServer([], { health: { database: async () => {}, others } });
    const ready = await app.inject("/health/ready");
    expect(ready.statusCode).toBe(200);
    expect(ready.json()).toMatchObject({
      status: "degraded",
      dependencies: {
        database: { status: "up" },
        redis: { status: "down" },
        mail: { status: "down" },
        storage: { status: "up" },
      },
    });
    expect((await app.inject("/health/db")).statusCode).toBe(200);
  });

  it("treats a dependency that does not respond as down", async () => {
    const { app } = testServer([], { health: { database: () => new Promise(() => {}) } });
    expect((await app.inject("/health/db")).statusCode).toBe(503);
  });

  it("checks a dependency once, however many ask concurrently", async () => {
    let asked = 0;
    const database = async () => {
      asked++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    const { app } = testServer([], { health: { database } });
    await Promise.all(Array.from({ length: 20 }, () => app.inject("/health/ready")));
    expect(asked).toBe(1);
  });
});
