/**
 * Sign-ins per second over HTTP, as a share of the raw hashing rate: Argon2id at the same cost, in
 * as many threads as the server uses. Both take turns. A sign-in includes its queries, the hash, a
 * session with tokens, and an audit entry.
 */
import { createPasswords } from "../../packages/insulae/src/kernel/identity/passwords.ts";
import { percent } from "../format.ts";
import { hashOfPassword, password, signIn } from "../people.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";

const people = 100;
/** Enough to keep the server busy, and fewer than its queue accepts. */
const clients = 16;
const smallestShare = 0.75;

interface Round {
  readonly perSecond: number;
  readonly waits: readonly number[];
}

export async function signIns(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const passwords = createPasswords();
  const hash = await hashOfPassword();
  const server = await insulae.start();
  try {
    let turn = 0;
    const overHttp = () => signIn(server.baseUrl, 1 + (turn++ % people));
    const raw = async () => {
      if (!(await passwords.verify(password, hash))) throw new Error("the hash is wrong");
    };
    bench.progress("sign-ins: warming up");
    await measure(overHttp, 2);
    const rounds: { raw: Round; http: Round }[] = [];
    for (let round = 1; round <= bench.options.rounds; round += 1) {
      bench.progress(`sign-ins: round ${round}`);
      rounds.push({
        raw: await measure(raw, bench.options.seconds),
        http: await measure(overHttp, bench.options.seconds),
      });
    }
    return report(rounds);
  } finally {
    await server.stop();
  }
}

/** Operations per second of all clients together. */
async function measure(work: () => Promise<unknown>, seconds: number): Promise<Round> {
  const waits: number[] = [];
  const began = performance.now();
  const client = async () => {
    while (performance.now() - began < seconds * 1000) {
      const asked = performance.now();
      await work();
      waits.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { perSecond: (waits.length * 1000) / (performance.now() - began), waits };
}

function report(rounds: readonly { readonly raw: Round; readonly http: Round }[]): Section {
  const figures = (kind: "raw" | "http") => {
    const waits = rounds.flatMap((round) => round[kind].waits);
    return {
      perSecond: median(rounds.map((round) => round[kind].perSecond)),
      p50Ms: quantile(waits, 0.5),
      p99Ms: quantile(waits, 0.99),
    };
  };
  const [raw, http] = [figures("raw"), figures("http")];
  const share = http.perSecond / raw.perSecond;
  const row = (what: string, { perSecond, p50Ms, p99Ms }: typeof raw) => [
    what,
    perSecond.toFixed(1),
    `${p50Ms.toFixed(0)} ms`,
    `${p99Ms.toFixed(0)} ms`,
  ];
  return {
    title: "Sign-ins",
    text:
      `Users of ${people} tenants sign in by password over HTTP, ${clients} at once; for comparison, the same Argon2id ` +
      "(19 MiB, two passes) and nothing else, on the same cores.",
    columns: ["", "per second", "p50", "p99"],
    rows: [row("Argon2id alone", raw), row("sign-ins over HTTP", http)],
    verdicts: [
      {
        promise: "sign-ins, as a share of the raw Argon2id rate",
        target: `≥ ${percent(smallestShare)}`,
        found: percent(share),
        met: share >= smallestShare,
      },
    ],
    data: { raw, http, share },
  };
}
