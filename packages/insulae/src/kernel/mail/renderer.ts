/**
 * Renders templates in worker threads, which can be terminated. Tenants write templates, and the
 * library checks its limits only between steps, which does not limit a single step.
 *
 *   render ──► the tenant's turn ──► an idle thread, or a new one ──► texts, or invalid_template
 *                                          └── after a second, out of memory: template_too_expensive
 *
 * At most two threads run, at most one for the same tenant, and tenants take turns. A thread starts
 * with the first template and stays (about 100 ms, 15 MB). It has no access to the environment or
 * secrets.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createAtATime } from "../lib/at-a-time.ts";
import { defineError } from "../lib/errors.ts";
import { holderOf } from "../lib/fair-shares.ts";
import type { Tenant } from "../model/tenant.ts";

export const invalidTemplate = defineError("invalid_template", 400, "The template cannot be used");
export const templateTooExpensive = defineError(
  "template_too_expensive",
  400,
  "The template takes too much time or memory to render. Simplify it.",
);

export type Value = string | number | boolean | null | readonly (string | number | boolean)[];
export type Values = Readonly<Record<string, Value>>;

export interface Text {
  readonly source: string;
  /** HTML: values are escaped. */
  readonly html?: boolean;
}

/** The messages between the renderer and a thread. */
export type Question =
  | { readonly render: readonly Text[]; readonly values: Values }
  | { readonly variablesOf: readonly string[] };
export type Reply<Result = readonly string[] | readonly (readonly string[])[]> =
  | { readonly result: Result }
  | { readonly invalid: string };

/** Renders texts in the turn of one tenant or of the platform. */
export interface Texts {
  /**
   * Inserts the values into the texts.
   *
   * @throws invalidTemplate if a text is not valid
   * @throws templateTooExpensive, tooManyAtOnce, serverBusy
   * @example
   * const [subject] = await texts.render([{ source: "Dear {{ name }}" }], { name: "Ada" });
   */
  render<const T extends readonly Text[]>(
    texts: T,
    values: Values,
  ): Promise<{ readonly [K in keyof T]: string }>;
  /** The names of the variables in each source. @throws as `render` */
  variablesOf<const T extends readonly string[]>(
    sources: T,
  ): Promise<{ readonly [K in keyof T]: readonly string[] }>;
}

export interface Renderer {
  /** @param tenant undefined: the platform, for the product's own templates */
  of(tenant: Pick<Tenant, "id" | "ownerAccountId"> | undefined): Texts;
  /** Terminates the threads. */
  close(): Promise<void>;
}

export interface RendererOptions {
  /** How long a thread may work on one question. */
  readonly deadlineMs?: number;
  /** The maximum number of threads. Default 2. */
  readonly threads?: number;
}

const startMs = 10_000;
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 };
/** Like this file: TypeScript in the repository, JavaScript in the package. */
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
const script = new URL(`liquid.worker.${extension}`, import.meta.url);

export function createRenderer(options: RendererOptions = {}): Renderer {
  const { deadlineMs = 1_000, threads: most = 2 } = options;
  const { run } = createAtATime({
    ...{ what: "templates", process: most, tenant: 1 },
    ...{ waiting: 1_000, tenantWaiting: 100 },
  });
  const threads = new Set<Worker>();
  const idle: Worker[] = [];
  let closed = false;

  const start = async (): Promise<Worker> => {
    const thread = new Worker(script, { env: {}, execArgv: [], argv: [], resourceLimits });
    threads.add(thread);
    // An error in an idle thread must not end the process.
    thread.on("error", () => undefined);
    thread.on("exit", () => {
      threads.delete(thread);
      if (idle.includes(thread)) idle.splice(idle.indexOf(thread), 1);
    });
    await nextMessage(thread, startMs);
    return thread;
  };

  const ask = async (question: Question): Promise<Reply> => {
    if (closed) throw new Error("the renderer is closed");
    const thread = idle.pop() ?? (await start());
    thread.ref();
    try {
      const answered = nextMessage(thread, deadlineMs);
      thread.postMessage(question);
      const reply = await answered;
      thread.unref();
      idle.push(thread);
      return reply as Reply; // what liquid.worker.ts sends
    } catch (error) {
      await thread.terminate();
      if (closed || !isStopped(error)) throw error;
      throw templateTooExpensive({
        detail: `Rendering was stopped: the limits are ${deadlineMs} ms and ${resourceLimits.maxOldGenerationSizeMb} MB.`,
        cause: error,
      });
    }
  };

  return {
    of(tenant) {
      const answer = async (question: Question): Promise<unknown> => {
        const reply = await run(holderOf(tenant), () => ask(question));
        if ("invalid" in reply) throw invalidTemplate({ detail: reply.invalid });
        return reply.result;
      };
      return {
        // There is a result for each text.
        render: (texts, values) => answer({ render: texts, values }) as never,
        variablesOf: (sources) => answer({ variablesOf: sources }) as never,
      };
    },
    async close() {
      closed = true;
      await Promise.all([...threads].map((thread) => thread.terminate()));
    },
  };
}

/** Rejects if the thread fails or sends nothing in time. */
async function nextMessage(thread: Worker, ms: number): Promise<unknown> {
  const [message] = await once(thread, "message", { signal: AbortSignal.timeout(ms) });
  return message;
}

const isStopped = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name === "AbortError" || Reflect.get(error, "code") === "ERR_WORKER_OUT_OF_MEMORY");
