/**
 * Every call to something outside this process, to peers that do all that a peer can do wrong: each
 * ends by our deadline, and lets the connection go. Where only the status of an answer matters, it decides.
 */
import { createECDH, randomBytes } from "node:crypto";
import { type ReadableSpan, TracerProvider } from "@opentelemetry/sdk-trace";
import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { withStoredSecrets } from "../src/app/secret-store.ts";
import { sesDriver } from "../src/kernel/delivery/ses.ts";
import { smtpDriver } from "../src/kernel/delivery/smtp.ts";
import { snsDriver } from "../src/kernel/delivery/sns.ts";
import { createSnsMessages, type SnsMessage } from "../src/kernel/delivery/sns-messages.ts";
import { createVapid, webPushDriver } from "../src/kernel/delivery/web-push.ts";
import { createOidcClient } from "../src/kernel/identity/oidc.ts";
import { withDeadline } from "../src/kernel/lib/deadline.ts";
import { createSecrets } from "../src/kernel/lib/secrets.ts";
import { createDns, lookUpAddresses } from "../src/kernel/net/dns.ts";
import { createOutbound } from "../src/kernel/net/outbound.ts";
import { connectRedis } from "../src/kernel/redis/redis.ts";
import { otlpExporter } from "../src/kernel/telemetry/open-telemetry.ts";
import {
  bodyMisdeeds,
  dnsMisdeeds,
  httpMisdeeds,
  type Misdeed,
  openHostileNameServer,
  openHostilePeer,
  smtpUntil,
  tcpMisdeeds,
} from "../src/testing/hostile-peer.ts";
import { openProviderWith } from "../src/testing/hostile-provider.ts";

const timeoutMs = 500;
/** A safety net: nothing here takes so long, or it never ends. */
const patienceMs = 8_000;

const outbound = createOutbound({ allowLoopback: true });
const secrets = createSecrets("a".repeat(32));
const aws = (endpoint: string) => ({
  region: "eu-central-1",
  endpoint,
  credentials: { accessKeyId: "key", secretAccessKey: "secret" },
});
const about = { id: "n", tenant: undefined, template: undefined };
const mail = { ...about, to: "ada@example.org", subject: "s", text: "t", html: "h" };
const push = { ...about, title: "t", text: "t", urgency: "normal" } as const;

interface Ending {
  readonly outcome: "done" | "failed" | "hung";
  readonly why: string;
}

async function endOf(call: Promise<unknown>): Promise<Ending> {
  const hung = Symbol("hung");
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof hung>((resolve) => {
    timer = setTimeout(resolve, patienceMs, hung);
  });
  try {
    const first = await Promise.race([call, late]);
    return { outcome: first === hung ? "hung" : "done", why: "" };
  } catch (error) {
    return { outcome: "failed", why: String(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** Makes the call to a peer for each misdeed, all at once, and says how each ended. */
async function endings(
  misdeeds: Readonly<Record<string, Misdeed>>,
  call: (url: string, port: number) => Promise<unknown>,
  after?: "connect",
): Promise<Record<string, Ending["outcome"]>> {
  const held: (() => number)[] = [];
  const ending = async (name: string, misdeed: Misdeed) => {
    const peer = await openHostilePeer(misdeed, after);
    held.push(peer.held);
    const { outcome } = await endOf(call(peer.url, peer.port));
    return { name, misdeed, outcome, met: peer.met() > 0 };
  };
  const all = await Promise.all(
    Object.entries(misdeeds).map(([name, misdeed]) => ending(name, misdeed)),
  );
  // A call of several steps may have ended before it came to a peer, on account of the others': again, alone.
  for (const [index, { name, misdeed, met }] of all.entries()) {
    if (met) continue;
    const alone = await ending(name, misdeed);
    expect(alone.met, `${name}: the call came to the peer`).toBe(true);
    all[index] = alone;
  }
  const left = () => held.reduce((sum, each) => sum + each(), 0);
  await expect.poll(left, { timeout: patienceMs }).toBe(0);
  return Object.fromEntries(all.map(({ name, outcome }) => [name, outcome]));
}

const all = (misdeeds: object, outcome: Ending["outcome"]) =>
  Object.fromEntries(Object.keys(misdeeds).map((name) => [name, outcome]));

/** Each gets an address, and throws unless all is well; with a deadline of `timeoutMs`. */
const callers: Readonly<
  Record<
    string,
    {
      readonly call: (url: string) => Promise<unknown>;
      readonly statusDecides: boolean;
    }
  >
> = {
  // Webhooks are delivered so; see hostile-receivers.test.ts.
  "an address that a tenant has chosen, of whose answer the status decides": {
    statusDecides: true,
    async call(url) {
      const request = { method: "POST", headers: {}, body: "{}", timeoutMs, maxBytes: 1_024 };
      const { ok } = await outbound(url, { ...request, statusDecides: true });
      if (!ok) throw new Error("refused");
    },
  },
  "a push to a browser": {
    statusDecides: true,
    call(url) {
      const own = createECDH("prime256v1");
      own.generateKeys();
      const keys = {
        p256dh: own.getPublicKey("base64url"),
        auth: randomBytes(16).toString("base64url"),
      };
      const contact = "mailto:support@insulae.example";
      const driver = webPushDriver({ vapid: createVapid(secrets), contact, outbound, timeoutMs });
      return driver({ ...push, to: { endpoint: `${url}/push`, keys } });
    },
  },
  "a mail by SES": {
    statusDecides: true,
    async call(url) {
      const driver = sesDriver(aws(url), "noreply@insulae.example", undefined, timeoutMs);
      await driver.deliver(mail).finally(driver.close);
    },
  },
  "a text message by SNS": {
    statusDecides: true,
    async call(url) {
      const driver = snsDriver(aws(url), { region: "eu-central-1" } as never, timeoutMs);
      await driver.text({ ...about, to: "+41791234567", text: "t" }).finally(driver.close);
    },
  },
  "a push to a device by SNS, of which an endpoint has to be made": {
    statusDecides: false,
    async call(url) {
      const pushArn = "arn:aws:sns:eu-central-1:123456789012:app/GCM/app";
      const driver = snsDriver(aws(url), { region: "eu-central-1", pushArn } as never, timeoutMs);
      await driver.push({ ...push, to: "device" }).finally(driver.close);
    },
  },
  "the certificate of SNS": {
    statusDecides: false,
    call: (url) => snsMessages(url).read(JSON.stringify(snsMessage)),
  },
  "the confirmation of a topic": {
    statusDecides: true,
    call: (url) => snsMessages(url).confirm(snsMessage),
  },
  "an identity provider's document": {
    statusDecides: false,
    call: (url) => oidc().discover(url),
  },
  "an identity provider's tokens": {
    statusDecides: false,
    call: (url) => redeem({ token_endpoint: url }),
  },
  "an identity provider's keys": {
    statusDecides: false,
    call: (url) => redeem({ jwks_uri: url }),
  },
  "an identity provider's claims": {
    statusDecides: false,
    call: (url) => redeem({ userinfo_endpoint: url }),
  },
  traces: {
    statusDecides: true,
    call: (url) =>
      new Promise<void>((resolve, reject) => {
        const exporter = otlpExporter({ endpoint: url, headers: {} }, timeoutMs);
        exporter.export([span()], ({ code, error }) => (code === 0 ? resolve() : reject(error)));
      }),
  },
};

describe.each(Object.entries(callers))("%s", (_, { call, statusDecides }) => {
  it("ends, whatever the server does before it has answered", async () => {
    expect(await endings(httpMisdeeds, call)).toEqual(all(httpMisdeeds, "failed"));
  });

  it(`${statusDecides ? "has arrived with the status" : "fails"}, whatever becomes of the answer's body`, async () => {
    const outcome = statusDecides ? "done" : "failed";
    expect(await endings(bodyMisdeeds, call)).toEqual(all(bodyMisdeeds, outcome));
  });

  it("ends where a handshake for TLS doesn't", async () => {
    const silent = { "stays silent": tcpMisdeeds["stays silent"] ?? (() => {}) };
    const overTls = (url: string) => call(url.replace("http:", "https:"));
    expect(await endings(silent, overTls)).toEqual(all(silent, "failed"));
  });
});

describe("settings in AWS Secrets Manager", () => {
  afterEach(() => vi.unstubAllEnvs());

  // The SDK finds the address in the environment: so one after another.
  it.each(Object.entries({ ...httpMisdeeds, ...bodyMisdeeds }))(
    "stop the boot if the server %s",
    async (name, misdeed) => {
      vi.stubEnv("AWS_REGION", "eu-central-1");
      vi.stubEnv("AWS_ACCESS_KEY_ID", "key");
      vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
      const ended = await endings({ [name]: misdeed }, (url) => {
        vi.stubEnv("AWS_ENDPOINT_URL", url);
        return withStoredSecrets({ AWS_SECRET_ID: "settings" }, timeoutMs);
      });
      expect(ended).toEqual({ [name]: "failed" });
    },
  );
});

const smtpStages = {
  "before its greeting": undefined,
  "after EHLO": /^EHLO/i,
  "after MAIL": /^MAIL/i,
  "after RCPT": /^RCPT/i,
  "after DATA": /^DATA/i,
  "after the mail": /\r\n\.\r\n$/,
} as const;
const smtpMisdeeds: Readonly<Record<string, Misdeed>> = {
  ...tcpMisdeeds,
  "has more to say for ever": (socket) => {
    const write = () => {
      while (socket.writable && socket.write("250-more\r\n".repeat(1_000)));
    };
    socket.on("drain", write);
    write();
  },
};

describe.each(Object.entries(smtpStages))("a mail by SMTP %s", (_, stage) => {
  it("ends, whatever the server does", async () => {
    const misdeeds = Object.fromEntries(
      Object.entries(smtpMisdeeds).map(([name, misdeed]) => [name, smtpUntil(stage, misdeed)]),
    );
    const ended = await endings(
      misdeeds,
      async (_url, port) => {
        const server = { host: "127.0.0.1", port, tls: "none", auth: undefined } as const;
        const driver = smtpDriver(server, "noreply@insulae.example", timeoutMs);
        await driver.deliver(mail).finally(driver.close);
      },
      "connect",
    );
    expect(ended).toEqual(all(misdeeds, "failed"));
  });
});

describe("Redis", () => {
  const redisMisdeeds: Readonly<Record<string, Misdeed>> = {
    ...tcpMisdeeds,
    "announces more than it sends": (socket) => void socket.write("$1000000000\r\nabc"),
    "sends a reply a byte at a time": (socket) => {
      const timer = setInterval(() => socket.writable && socket.write(":"), 20);
      socket.on("close", () => clearInterval(timer));
    },
  };
  const log = pino({ level: "silent" });

  it("is absent, whatever it does at the greeting, and the process can end", async () => {
    const ended = await endings(redisMisdeeds, async (_, port) => {
      const url = `redis://:secret@127.0.0.1:${port}`;
      const redis = await connectRedis({ url, timeoutMs, connectMs: 2_000, log });
      try {
        redis.subscribe("news", () => {});
        await redis.run((client) => client.sendCommand(["PING"]));
      } finally {
        await redis.close();
      }
    });
    expect(ended).toEqual(all(redisMisdeeds, "failed"));
  });

  it("is given up and asked anew, where a greeting has no end", async () => {
    let connections = 0;
    const ended = await endings(
      {
        trickle: (socket) => {
          connections += 1;
          redisMisdeeds["sends a reply a byte at a time"]?.(socket);
        },
      },
      async (_, port) => {
        const url = `redis://:secret@127.0.0.1:${port}`;
        const redis = await connectRedis({ url, timeoutMs, connectMs: timeoutMs, log });
        await expect.poll(() => connections, { timeout: patienceMs }).toBeGreaterThan(1);
        await redis.close();
      },
    );
    expect(ended).toEqual({ trickle: "done" });
  });
});

describe.each(Object.entries(dnsMisdeeds))("a name server that %s", (_, misdeed) => {
  it("is given up, with a proof of a domain and with the address of a webhook", async () => {
    const servers = [await openHostileNameServer(misdeed)];
    const name = "hooks.insulae.example";
    const proof = await endOf(createDns({ servers, timeoutMs }).txt(name));
    expect(proof).toMatchObject({ outcome: "failed", why: expect.stringContaining("DNS") });
    const address = await endOf(
      withDeadline(timeoutMs, (signal) => lookUpAddresses(name, signal, servers)),
    );
    expect(address.outcome).toBe("failed");
  });
});

const topicArn = "arn:aws:sns:eu-central-1:123456789012:reports";
const amazon = "https://sns.eu-central-1.amazonaws.com";
const snsMessage: SnsMessage = {
  ...({ Type: "Notification", SignatureVersion: "2" } as const),
  ...{ MessageId: "m", TopicArn: topicArn, Message: "{}" },
  ...{ Timestamp: "2026-01-01T00:00:00Z", Signature: "AAAA" },
  SigningCertURL: `${amazon}/SimpleNotificationService-abc.pem`,
  SubscribeURL: `${amazon}/?Action=ConfirmSubscription`,
};
const snsMessages = (endpoint: string) =>
  createSnsMessages({ topicArn, endpoint, outbound, timeoutMs });

const oidc = () => createOidcClient({ outbound, secrets, allowInsecure: true, timeoutMs });

/** Signs somebody in by a provider of whose addresses some are the hostile peer's. */
async function redeem(hostile: Readonly<Record<string, string>>): Promise<unknown> {
  const client = oidc();
  const issuer = await openProviderWith(hostile, { client: "client", nonce: "nonce" });
  const tenantId = "01990000-0000-7000-8000-000000000001" as never;
  return client.redeem(
    { tenantId, issuer, clientId: "client", sealedSecret: client.seal(tenantId, "secret") },
    {
      state: "state",
      nonce: "nonce",
      verifier: "v".repeat(43),
      redirectUri: "https://insulae.example/",
    },
    new URLSearchParams({ code: "code", state: "state" }),
    ["email"],
  );
}

function span(): ReadableSpan {
  const made: ReadableSpan[] = [];
  const provider = new TracerProvider({
    spanProcessors: [
      {
        onStart() {},
        onEnd: (ended) => void made.push(ended),
        forceFlush: async () => {},
        shutdown: async () => {},
      },
    ],
  });
  provider.getTracer("tests").startSpan("one").end();
  const [first] = made;
  if (!first) throw new Error("a span that ends is heard of");
  return first;
}
