/** What opens the installation is out of reach of handlers and hooks. */
import { Type } from "typebox";
import { expect, test } from "vitest";
import { feature } from "../src/kernel/feature/feature.ts";
import { createTestApp } from "../src/testing/index.ts";
import { testMasterSecret } from "../src/testing/test-secret.ts";

const planted = {
  jwtSecret: "planted-jwt-secret-of-32-characters",
  adminPassword: "planted-admin-password",
  metricsToken: "planted-metrics-token",
  masterSecret: testMasterSecret,
} as const;

/** The paths at which one of the texts is, among all that can be read from a value. */
function pathsTo(value: unknown, texts: readonly string[]): string[] {
  const seen = new Set<unknown>();
  const found: string[] = [];
  const walk = (current: unknown, path: string): void => {
    if (typeof current === "string") {
      if (texts.some((text) => current.includes(text))) found.push(path);
      return;
    }
    const isThing = typeof current === "object" || typeof current === "function";
    if (!isThing || current === null || seen.has(current)) return;
    seen.add(current);
    if (current instanceof Map || current instanceof Set) walk([...current], `${path}[…]`);
    for (const key of Reflect.ownKeys(current)) {
      const part = Reflect.getOwnPropertyDescriptor(current, key);
      walk(part && "value" in part ? part.value : undefined, `${path}.${String(key)}`);
    }
  };
  walk(value, "");
  return found;
}

test("no secret can be read from what handlers, hooks and applications are given", async () => {
  const given: Record<string, unknown> = {};
  const nosy = feature("nosy", {
    onStart(app) {
      given.onStart = app;
    },
    routes: (r) => [
      r.get(
        "/nosy",
        {
          permission: "public",
          context: "any",
          summary: "Looks at the platform",
          response: Type.Object({}),
        },
        ({ platform }) => {
          given.handler = platform;
          return {};
        },
      ),
    ],
  });
  const app = await createTestApp({
    features: [nosy],
    config: {
      ...planted,
      smtp: {
        host: "127.0.0.1",
        port: 25,
        tls: "none",
        auth: { user: "u", pass: "planted-smtp-password" },
      },
      aws: {
        region: "eu-west-1",
        endpoint: undefined,
        credentials: { accessKeyId: "planted-key-id", secretAccessKey: "planted-aws-secret" },
      },
    },
  });
  try {
    expect((await app.inject("/api/v1/nosy")).statusCode).toBe(200);
    const { config: _config, ...rest } = app; // a test's has them
    given.app = rest;
    const database = new URL(app.config.databaseUrl ?? "");
    const texts = ["planted-", ...(database.password ? [database.password] : []), database.href];
    expect(pathsTo(app.config, texts).length).toBeGreaterThan(5);
    expect(pathsTo(given, texts)).toEqual([]);
  } finally {
    await app.close();
  }
});
