/** Web Push to a push service of the test, which decrypts messages like a browser (RFC 8291). */
import {
  createDecipheriv,
  createECDH,
  createPublicKey,
  hkdfSync,
  randomBytes,
  verify,
} from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSecrets } from "../lib/secrets.ts";
import { createOutbound } from "../net/outbound.ts";
import { Undeliverable } from "./message.ts";
import { createVapid, webPushDriver } from "./web-push.ts";

/** A browser's keys, and how it decrypts messages. */
function openBrowser() {
  const own = createECDH("prime256v1");
  own.generateKeys();
  const auth = randomBytes(16);
  return {
    keys: { p256dh: own.getPublicKey("base64url"), auth: auth.toString("base64url") },
    read(body: Buffer): string {
      const salt = body.subarray(0, 16);
      const sender = body.subarray(21, 21 + (body[20] ?? 0));
      const encrypted = body.subarray(21 + sender.length);
      const hkdf = (key: Buffer, salt: Buffer, info: Buffer | string, length: number) =>
        Buffer.from(hkdfSync("sha256", key, salt, info, length));
      const info = Buffer.concat([Buffer.from("WebPush: info\0"), own.getPublicKey(), sender]);
      const key = hkdf(own.computeSecret(sender), auth, info, 32);
      const decipher = createDecipheriv(
        "aes-128-gcm",
        hkdf(key, salt, "Content-Encoding: aes128gcm\0", 16),
        hkdf(key, salt, "Content-Encoding: nonce\0", 12),
      );
      decipher.setAuthTag(encrypted.subarray(-16));
      const text = Buffer.concat([decipher.update(encrypted.subarray(0, -16)), decipher.final()]);
      return text.subarray(0, text.lastIndexOf(2)).toString("utf8");
    },
  };
}

interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

const received: Received[] = [];
const service = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { url: path = "", headers } = request;
  received.push({ path, headers, body: Buffer.concat(chunks) });
  const status = Number(path.slice(1));
  response.writeHead(status, status === 302 ? { location: "/201" } : {}).end();
});
let origin: string;
beforeAll(async () => {
  await new Promise<void>((listening) => service.listen(0, "127.0.0.1", listening));
  origin = `http://127.0.0.1:${(service.address() as AddressInfo).port}`; // it listens on a port
});
afterAll(() => new Promise((closed) => service.close(closed)));

const vapid = createVapid(createSecrets("a".repeat(32)));
const contact = "mailto:support@insulae.example";
const push = webPushDriver({ vapid, contact, outbound: createOutbound({ allowLoopback: true }) });
const browser = openBrowser();
const message = {
  ...{ id: "n", tenant: undefined, template: undefined },
  ...{ title: "Grüße", text: "Your order is on its way" },
  urgency: "high",
} as const;
const to = (endpoint: string, keys = browser.keys) => push({ ...message, to: { endpoint, keys } });

describe("a push to a browser", () => {
  it("can be read by that browser only, and identifies the sender", async () => {
    await to(`${origin}/201`);
    const { headers = {}, body = Buffer.alloc(0) } = received.at(-1) ?? {};
    expect(JSON.parse(browser.read(body))).toEqual({
      ...{ id: "n", title: "Grüße", body: "Your order is on its way" },
    });
    expect(() => openBrowser().read(body)).toThrow();
    expect(headers).toMatchObject({
      "content-encoding": "aes128gcm",
      urgency: "high",
      ttl: "86400",
    });

    const [, token = "", key = ""] =
      /^vapid t=(\S+), k=(\S+)$/.exec(String(headers.authorization)) ?? [];
    expect(key).toBe(vapid.publicKey);
    const [head = "", claims = "", signature = ""] = token.split(".");
    expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({
      ...{ aud: origin, sub: contact },
    });
    const point = Buffer.from(key, "base64url");
    const jwk = {
      ...{ kty: "EC", crv: "P-256" },
      x: point.subarray(1, 33).toString("base64url"),
      y: point.subarray(33).toString("base64url"),
    };
    const signed = verify(
      "sha256",
      Buffer.from(`${head}.${claims}`),
      { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" },
      Buffer.from(signature, "base64url"),
    );
    expect(signed).toBe(true);
  });

  it("uses the same key on every node", () => {
    expect(createVapid(createSecrets("a".repeat(32)))).toEqual(vapid);
    expect(createVapid(createSecrets("b".repeat(32)))).not.toEqual(vapid);
  });

  it("to an ended subscription is given up, a temporary failure is retried", async () => {
    for (const status of [404, 410]) {
      await expect(to(`${origin}/${status}`)).rejects.toMatchObject({ noSuchRecipient: true });
    }
    await expect(to(`${origin}/413`)).rejects.toMatchObject({ noSuchRecipient: false });
    for (const status of [429, 500, 503]) {
      const failure = await to(`${origin}/${status}`).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Error);
      expect(failure).not.toBeInstanceOf(Undeliverable);
    }
  });

  it("follows no redirect, and connects to no private address", async () => {
    const before = received.length;
    await expect(to(`${origin}/302`)).rejects.toThrow("302");
    expect(received.length).toBe(before + 1);
    for (const endpoint of [
      "https://10.0.0.1/x",
      "https://169.254.169.254/",
      "http://192.168.0.1/",
    ]) {
      await expect(to(endpoint)).rejects.toMatchObject({ noSuchRecipient: true });
    }
  });

  it("with invalid keys is given up", async () => {
    const keys = { p256dh: "AAAA", auth: "AAAA" };
    await expect(to(`${origin}/201`, keys)).rejects.toBeInstanceOf(Undeliverable);
  });
});
