/**
 * Finds the place in an application's code behind an error whose own stack does not have it.
 * PostgreSQL's errors arrive in a socket callback, so their stack is pg's. The code that awaits the
 * statement is found when it fails (V8 follows the chain of async frames), which costs nothing
 * while it succeeds.
 */
import { fileURLToPath } from "node:url";

/** A place in the code. Its text is created lazily. */
export interface CallSite {
  readonly stack?: string;
}

type Callee = (...args: never[]) => unknown;

/** The place where the running function `callee` was called. */
export function callSite(callee: Callee): CallSite {
  const site = {};
  capture(site, callee, 1);
  return site;
}

/**
 * Gives the error the stack of the code that awaits it, and the place where its statement is
 * declared.
 */
export function relocate(error: Error, declared: CallSite | undefined, callee: Callee): void {
  capture(error, callee, 30);
  const place = declared && placesIn(declared.stack)[0];
  if (place !== undefined) error.stack += `\n    at statement (${place})`;
}

function capture(target: object, callee: Callee, frames: number): void {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = frames;
  Error.captureStackTrace(target, callee);
  Error.stackTraceLimit = limit;
}

const kernel = fileURLToPath(new URL("../", import.meta.url));

/**
 * The first frame of application or feature code, such as `src/notes/notes.queries.ts:12:5`;
 * relative to the
 * working directory if below it.
 */
export function applicationFrame(at: Thrown | undefined): string | undefined {
  const places = placesIn(framesOf(at)).map((place) =>
    place.startsWith("file:") ? fileURLToPath(place) : place,
  );
  const own = places.find(
    (place) =>
      !place.startsWith("node:") && !place.includes("/node_modules/") && !place.startsWith(kernel),
  );
  const folder = `${process.cwd()}/`;
  return own?.startsWith(folder) ? own.slice(folder.length) : own;
}

/** An error or a call site. */
interface Thrown {
  readonly stack?: string;
  readonly message?: string;
}

/** The stack without the message, which a client may have made to look like frames. */
function framesOf({ stack = "", message = "" }: Thrown = {}): string {
  const at = message === "" ? -1 : stack.indexOf(message);
  return at === -1 ? stack : stack.slice(at + message.length);
}

/** The `file:line:column` of each frame. */
const placesIn = (stack = ""): string[] =>
  [...stack.matchAll(/^ {4}at (?:.* \()?(?:async )?([^\s()]+:\d+:\d+)\)?$/gm)].map(
    ([, place = ""]) => place,
  );
