import { type Check, look, ok, warning } from "../doctor/check.ts";
import { withDeadline } from "../kernel/lib/deadline.ts";

const askMs = 5_000;

/**
 * Checks Redis: it holds sessions and rate limits, which must survive, and a cache, which may be
 * evicted.
 */
export const checkRedis = (url: string | undefined): Promise<readonly Check[]> =>
  look(
    "Redis",
    "check that it runs and that REDIS_URL is right; meanwhile the server works without it",
    async () => {
      if (url === undefined) {
        const remedy = "set REDIS_URL if more than one process runs";
        return warning("Redis", "there is none", remedy);
      }
      const info = await infoOf(url);
      return [checkPolicy(info), checkPersistence(info), checkEncryption(new URL(url))];
    },
  );

type Info = (field: string) => string | undefined;

/** Uses INFO, because managed services often forbid CONFIG. */
async function infoOf(url: string): Promise<Info> {
  const { createClient } = await import("redis");
  const client = createClient({ url, socket: { reconnectStrategy: false, connectTimeout: 3_000 } });
  client.on("error", () => {});
  try {
    const text = await withDeadline(askMs, async () => {
      await client.connect();
      return client.info();
    });
    return (field) => new RegExp(`^${field}:(.*?)\\r?$`, "m").exec(text)?.[1];
  } finally {
    client.destroy();
  }
}

function checkPolicy(info: Info): Check {
  const name = "Redis memory";
  const policy = info("maxmemory_policy") ?? "?";
  if (info("maxmemory") === "0") {
    const remedy = "set maxmemory below the machine's memory, and maxmemory-policy volatile-ttl";
    return warning(name, "there is no maxmemory", remedy);
  }
  if (policy.startsWith("volatile-")) return ok(name, `evicts by ${policy} when full`);
  const effect = policy === "noeviction" ? "refuses writes" : "evicts sessions";
  return warning(name, `${policy}: when full, it ${effect}`, "set maxmemory-policy volatile-ttl");
}

function checkPersistence(info: Info): Check {
  const name = "Redis persistence";
  const replicas = Number(info("connected_slaves") ?? 0);
  const kept = info("aof_enabled") === "1" || replicas > 0 || info("role") === "slave";
  if (kept) return ok(name, `an append-only file or a replica (${replicas})`);
  return warning(
    name,
    "neither an append-only file nor a replica: a restart loses session data and rate-limit counts",
    "set appendonly yes, or add a replica",
  );
}

function checkEncryption({ protocol, hostname }: URL): Check {
  const name = "TLS to Redis";
  if (protocol === "rediss:") return ok(name, "rediss://");
  const near = ["localhost", "127.0.0.1", "[::1]"].includes(hostname) || !hostname.includes(".");
  if (near) return ok(name, `not needed: ${hostname} is on this machine or its network`);
  return warning(name, `the connection to ${hostname} is not encrypted`, "use rediss://");
}
