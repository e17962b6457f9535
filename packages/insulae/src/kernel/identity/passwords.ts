/**
 * Password rules and hashing: Argon2id (or bcrypt where required) on a bounded number of threads.
 * Hashes of both kinds can be verified.
 *
 * A hash takes some 20 ms of a core and 19 MiB. So at most as many run as there are cores; a short
 * queue waits, in which tenants take turns, and beyond it the tenant with the most waiting is told
 * to retry: a flood of log-ins costs the attacker responses, not everybody else latency. Each
 * log-in costs one hash whether or not the user exists, so timing reveals nothing.
 */
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { hash as argon2Hash, verify as argon2Verify } from "@node-rs/argon2";
import { hash as bcryptHash, verify as bcryptVerify } from "@node-rs/bcrypt";
import { createAtATime, serverBusy, tooManyAtOnce } from "../lib/at-a-time.ts";
import { AppError, defineError } from "../lib/errors.ts";
import { holderOf } from "../lib/fair-shares.ts";
import { isLonger, normalised } from "../lib/text.ts";
import type { Tenant } from "../model/tenant.ts";
import { counter, type Metrics } from "../telemetry/metrics.ts";
import { loadCommonPasswords } from "./common-passwords.ts";

export const minPasswordLength = 8;
export const maxPasswordLength = 128;

export const weakPassword = defineError(
  "weak_password",
  400,
  "This password is too weak or has an invalid length. Choose another.",
);
export { serverBusy as passwordsBusy };

export interface Passwords {
  /** The same, queued as the tenant; without `of`, or without a tenant, as the platform. */
  of(tenant: Pick<Tenant, "id" | "ownerAccountId"> | undefined): Passwords;
  /**
   * Hashes a newly chosen password.
   *
   * @throws weakPassword if it is too short, too long, or among the most common ones
   * @throws passwordsBusy, tooManyAtOnce
   */
  hash(password: string): Promise<string>;
  /**
   * Whether the password matches the hash. Without a hash (no such user, or no password) it takes
   * as long and is false.
   *
   * @throws passwordsBusy, tooManyAtOnce
   */
  verify(password: string, hash: string | null | undefined): Promise<boolean>;
  /**
   * A new hash of a password just verified, if the current algorithm or cost differs. Undefined if
   * the hash is up to date, or the queue is full.
   */
  renew(password: string, hash: string): Promise<string | undefined>;
}

export interface PasswordOptions {
  /** The maximum of concurrent hashes. */
  readonly concurrency?: number;
  /**
   * How many more may wait. At 40 hashes per second and core, 64 wait about a second on two cores.
   */
  readonly queue?: number;
  /** For counting hashes. */
  readonly metrics?: Metrics;
  /** Argon2's m in KiB and t; changed only in tests. */
  readonly memoryKib?: number;
  readonly passes?: number;
  /** For new hashes. Default Argon2id. */
  readonly algorithm?: "argon2id" | "bcrypt" | undefined;
  /** Each increment doubles the work; 12 takes some 200 ms. */
  readonly bcryptCost?: number | undefined;
}

/**
 * Hashes run in libuv's thread pool (4 threads by default, see UV_THREADPOOL_SIZE), which also
 * reads files and resolves names; one thread is always left to these.
 */
export const hashesAtATime = (): number => {
  const threads = Number(process.env.UV_THREADPOOL_SIZE) || 4;
  return Math.max(1, Math.min(availableParallelism(), threads - 1));
};

const busy: readonly string[] = [serverBusy.code, tooManyAtOnce.code];

/** The maximum of waiting hashes per tenant. */
const tenantQueue = 32;

const hashes = counter(
  "insulae_password_hashes_total",
  "Passwords that were hashed, to be stored or to be compared",
);

/**
 * The default cost is the OWASP Password Storage Cheat Sheet's recommendation for Argon2id:
 * m = 19 MiB, t = 2, p = 1.
 *
 * @example
 * const passwords = createPasswords();
 * const hash = await passwords.hash("correct horse battery");
 * await passwords.verify("correct horse battery", hash); // true
 */
export function createPasswords(options: PasswordOptions = {}): Passwords {
  const { concurrency = hashesAtATime(), queue = 64 } = options;
  const { memoryKib = 19_456, passes = 2, algorithm = "argon2id", bcryptCost = 12 } = options;
  const cost = { memoryCost: memoryKib, timeCost: passes, parallelism: 1 };
  const { run } = createAtATime({
    ...{ what: "password hashes", process: concurrency },
    ...{ waiting: queue, tenantWaiting: tenantQueue },
  });
  const count = options.metrics?.counter(hashes);
  let common: Promise<ReadonlySet<string>> | undefined;
  const bcrypt = algorithm === "bcrypt";
  // Matches no known password; costs the same as real hashes.
  const decoy = bcrypt
    ? bcryptDecoy(bcryptCost)
    : phc(memoryKib, passes, randomBytes(16), randomBytes(32));
  const asMadeNow = bcrypt
    ? new RegExp(`^\\$2[aby]\\$${String(bcryptCost).padStart(2, "0")}\\$`) // Bounded: no repetition.
    : new RegExp(`^\\$argon2id\\$v=19\\$m=${memoryKib},t=${passes},p=1\\$`); // Bounded: no repetition.

  const of: Passwords["of"] = (tenant) => {
    const holder = holderOf(tenant);
    const exclusively = <T>(work: () => Promise<T>): Promise<T> =>
      run(holder, () => {
        count?.add();
        return work();
      });
    const make = (password: string) =>
      exclusively(() => (bcrypt ? bcryptHash(password, bcryptCost) : argon2Hash(password, cost)));
    return {
      of,
      async hash(password) {
        const chosen = acceptable(password);
        if (bcrypt && isBeyondBcrypt(chosen)) {
          throw refuse(`it can have at most ${maxBcryptBytes} bytes in UTF-8`);
        }
        common ??= loadCommonPasswords();
        if ((await common).has(chosen.toLowerCase())) throw tooCommon();
        return make(chosen);
      },
      async verify(password, hash) {
        if (isTooLong(password)) return false;
        const tried = normalise(password);
        // bcrypt would compare only the first 72 bytes.
        const known = hash && isKnown(hash, tried) ? hash : undefined;
        const compared = known ?? decoy;
        const right = await exclusively(() =>
          compared.startsWith("$2") ? bcryptVerify(tried, compared) : argon2Verify(compared, tried),
        );
        return right && known !== undefined;
      },
      async renew(password, hash) {
        const tried = normalise(password);
        if (asMadeNow.test(hash) || (bcrypt && isBeyondBcrypt(tried))) return undefined;
        return make(tried).catch((error: unknown) => {
          if (error instanceof AppError && busy.includes(error.code)) return undefined;
          throw error;
        });
      },
    };
  };
  return of(undefined);
}

/** 22 characters of salt and 31 of hash; the last one of each carries fewer bits. */
const bcryptDecoy = (cost: number): string => {
  const random = randomBytes(26).toString("hex");
  return `$2b$${String(cost).padStart(2, "0")}$${random.slice(0, 21)}e${random.slice(21, 51)}.`;
};

const maxBcryptBytes = 72;

const isBeyondBcrypt = (password: string): boolean => Buffer.byteLength(password) > maxBcryptBytes;

/** Whether the hash is of a known kind that takes the whole password into account. */
const isKnown = (hash: string, password: string): boolean =>
  hash.startsWith("$argon2id$") ||
  (/^\$2[abxy]\$(0[4-9]|1\d)\$[./A-Za-z0-9]{53}$/.test(hash) && !isBeyondBcrypt(password));

/** NIST SP 800-63B, section 3.1.1.2: passwords are normalised, and characters are code points. */
const normalise = (password: string): string => normalised(password);

// Check code units first, so that huge inputs are not even normalised.
const isTooLong = (password: string): boolean => isLonger(password, maxPasswordLength);

function acceptable(password: string): string {
  if (isTooLong(password)) throw refuse(`it can have at most ${maxPasswordLength} characters`);
  const chosen = normalise(password);
  const characters = [...chosen];
  if (characters.length < minPasswordLength) {
    throw refuse(`it needs at least ${minPasswordLength} characters`);
  }
  if (!chosen.isWellFormed()) throw refuse("it is not valid Unicode");
  if (new Set(characters).size === 1 || placeholder.test(chosen)) throw tooCommon();
  return chosen;
}

/** Placeholders from examples, such as `at-least-eight-characters`. */
const placeholder =
  /^(at[-_ ]least[-_ ]|(please[-_ ])?(change|replace)[-_ ]?(me|this)|(your|my|secret|admin|example)[-_ ]?password$|<.*>$)/i;

const tooCommon = () => refuse("it is too easy to guess");

const refuse = (why: string) =>
  weakPassword({
    detail: `This password cannot be used: ${why}. Choose another.`,
    errors: [{ pointer: "/body/password", message: why }],
  });

const phc = (memoryKib: number, passes: number, salt: Buffer, digest: Buffer): string => {
  const text = (bytes: Buffer) => bytes.toString("base64").replaceAll("=", "");
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=1$${text(salt)}$${text(digest)}`;
};
