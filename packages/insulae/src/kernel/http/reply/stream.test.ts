import { once } from "node:events";
import { request } from "node:http";
import { expect, test, vi } from "vitest";
import { feature } from "../../feature/feature.ts";
import { mediaText } from "../../feature/fields.ts";
import { testServer } from "../server/test-server.ts";

const piece = `${"x".repeat(99_999)}\n`;
const pieces = 1_000;

const stream = (fn: () => AsyncGenerator<string>) =>
  feature("stream", {
    routes: (r) => [
      r.get(
        "/lines",
        {
          permission: "public",
          context: "core",
          summary: "Many lines",
          response: mediaText("application/x-ndjson"),
        },
        ({ header }) => {
          header("content-type", "application/x-ndjson");
          return fn();
        },
      ),
    ],
  });

test("a streamed response waits for its client, and ends when the client disconnects", async () => {
  let made = 0;
  let ended = false;
  const { app } = testServer([
    stream(async function* () {
      try {
        for (; made < pieces; made++) yield piece;
      } finally {
        ended = true;
      }
    }),
  ]);
  const address = await app.listen({ port: 0, host: "127.0.0.1" });
  const asked = request(new URL("/api/v1/lines", address)).end();
  const [reply] = await once(asked, "response");
  await once(reply, "readable");
  // Socket buffers hold a few of the hundred megabytes.
  await vi.waitFor(async () => {
    const before = made;
    await new Promise((resolve) => setImmediate(resolve));
    expect(made).toBe(before);
  });
  expect(made).toBeLessThan(pieces / 2);
  reply.destroy();
  await expect.poll(() => ended).toBe(true);
  await app.close();
});

test("an error before the first piece is answered like any other", async () => {
  // biome-ignore lint/correctness/useYield: it fails before
  const none = stream(async function* () {
    throw new Error("no lines");
  });
  const { app } = testServer([none], { production: true });
  const reply = await app.inject("/api/v1/lines");
  expect(reply.statusCode).toBe(500);
  expect(reply.headers["content-type"]).toContain("application/problem+json");
  expect(reply.body).not.toContain("no lines");
});
