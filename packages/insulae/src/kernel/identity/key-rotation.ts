/**
 * Operators' actions on the control plane's signing keys. They are announced to every node
 * (`keys`).
 *
 * A rotation overlaps: the new key is published at once and signs a little later, when cached key
 * lists have expired. The old ones verify until the last token they signed has expired.
 */
import { type Kysely, sql } from "kysely";
import { defineError } from "../lib/errors.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { lockSigningKeys, newKey, type Sealer } from "./signing-keys.ts";

/**
 * Seconds for which a new key is published before it signs: twice the cache lifetime of the list.
 */
export const publishedSeconds = 600;

export interface RotationOptions {
  readonly sealer: Sealer;
  readonly accessTtlSeconds: number;
  /** Whether the new key signs at once; verifiers elsewhere then have to look it up. */
  readonly now: boolean;
}

export const keyNotFound = defineError("key_not_found", 404, "This signing key does not exist");
export const lastKey = defineError(
  "last_key",
  409,
  "No other key could sign. Rotate first (`insulae keys rotate --now`).",
);

export type KeyState = "next" | "signing" | "verifying" | "retired";

export interface KeyRow {
  readonly id: string;
  readonly state: KeyState;
  readonly createdAt: Date;
  readonly signsFrom: Date;
  readonly retiredAt: Date | undefined;
}

/** Creates a key and schedules the others' retirement. @returns the new key's id */
export const rotateKeys = (
  control: Kysely<ControlTables>,
  { sealer, accessTtlSeconds, now }: RotationOptions,
): Promise<string> =>
  control.transaction().execute(async (tx) => {
    await lockSigningKeys(tx);
    const wait = now ? 0 : publishedSeconds;
    const key = await newKey(sealer);
    await tx
      .insertInto("control.signing_keys")
      .values({ ...key, signs_from: inSeconds(wait) })
      .execute();
    // A minute for differing clocks.
    const gone = inSeconds(wait + accessTtlSeconds + 60);
    await tx
      .updateTable("control.signing_keys")
      .set({ retired_at: gone })
      .where("id", "<>", key.id)
      .where((eb) => eb.or([eb("retired_at", "is", null), eb("retired_at", ">", gone)]))
      .execute();
    return key.id;
  });

/**
 * Retires a key: every node refuses its tokens within a second.
 *
 * @throws keyNotFound, lastKey
 */
export const retireKey = (control: Kysely<ControlTables>, id: string): Promise<void> =>
  control.transaction().execute(async (tx) => {
    await lockSigningKeys(tx);
    const keys = await listKeys(tx);
    const key = keys.find((candidate) => candidate.id === id);
    if (!key) throw keyNotFound();
    if (key.state === "retired") return;
    const others = keys.filter((other) => other !== key && other.state !== "retired");
    const goesOn = others.some(({ retiredAt }) => retiredAt === undefined);
    const signs = others.some(({ state }) => state === "signing" || state === "verifying");
    if (!goesOn || !signs) throw lastKey();
    await tx
      .updateTable("control.signing_keys")
      .set({ retired_at: inSeconds(0) })
      .where("id", "=", id)
      .execute();
  });

/** All keys, including retired ones, newest first. */
export async function listKeys(control: Kysely<ControlTables>): Promise<KeyRow[]> {
  const rows = await control
    .selectFrom("control.signing_keys")
    .select(["id", "created_at", "signs_from", "retired_at"])
    .select(sql<boolean>`coalesce(retired_at <= clock_timestamp(), false)`.as("retired"))
    .select(sql<boolean>`signs_from > clock_timestamp()`.as("waits"))
    .orderBy("signs_from", "desc")
    .orderBy("id")
    .execute();
  const signing = rows.find(({ retired, waits }) => !retired && !waits);
  return rows.map((row) => ({
    id: row.id,
    state: stateOf(row, row === signing),
    createdAt: row.created_at,
    signsFrom: row.signs_from,
    retiredAt: row.retired_at ?? undefined,
  }));
}

function stateOf(row: { readonly retired: boolean; readonly waits: boolean }, signs: boolean) {
  if (row.retired) return "retired";
  if (row.waits) return "next";
  return signs ? "signing" : "verifying";
}

const inSeconds = (seconds: number) =>
  sql<Date>`clock_timestamp() + make_interval(secs => ${seconds})`;
