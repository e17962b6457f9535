import type { TenantDatabase } from "../../data/tenant-database.ts";

type Db = TenantDatabase<Record<never, never>>;

/** One request of one caller, and the exclusive right to answer it. */
export interface Claim {
  readonly callerId: string;
  readonly key: string;
  readonly requestHash: string;
  readonly claim: string;
}

export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/**
 * Takes the claim if the key is new or expired, or if its holder did not finish in time. Also
 * deletes some expired keys, so no sweep is needed.
 */
export async function takeClaim(db: Db, { callerId, key, requestHash, claim }: Claim) {
  const taken = await db.query(
    `with expired as (
       select caller_id, key from idempotency_keys
       where expires_at < now() and key <> $2
       limit 100
     ),
     swept as (
       delete from idempotency_keys as old using expired
       where old.caller_id = expired.caller_id and old.key = expired.key
     )
     insert into idempotency_keys as known
       (caller_id, key, request_hash, claim, claimed_until, expires_at)
     values ($1, $2, $3, $4, now() + interval '1 minute', now() + interval '24 hours')
     on conflict (tenant_id, caller_id, key) do update
       set request_hash = excluded.request_hash, claim = excluded.claim, status = null, body = null,
         claimed_until = excluded.claimed_until, expires_at = excluded.expires_at
       where known.expires_at < now()
         or (known.status is null and known.claimed_until < now()
           and known.request_hash = excluded.request_hash)
     returning claim`,
    [callerId, key, requestHash, claim],
  );
  return taken.length > 0;
}

export async function findAnswer(db: Db, { callerId, key }: Claim) {
  const [found] = await db.query<{ request_hash: string; status: number | null } & KeptAnswer>(
    `select request_hash, status, headers, body from idempotency_keys
     where caller_id = $1 and key = $2`,
    [callerId, key],
  );
  return found;
}

/** Does nothing if another request has taken over the claim. */
export const keepAnswer = (db: Db, { callerId, key, claim }: Claim, answer: KeptAnswer) =>
  db.query(
    `update idempotency_keys set status = $4, headers = $5, body = $6
     where caller_id = $1 and key = $2 and claim = $3`,
    [callerId, key, claim, answer.status, JSON.stringify(answer.headers), answer.body],
  );

export const dropClaim = (db: Db, { callerId, key, claim }: Claim) =>
  db.query("delete from idempotency_keys where caller_id = $1 and key = $2 and claim = $3", [
    callerId,
    key,
    claim,
  ]);
