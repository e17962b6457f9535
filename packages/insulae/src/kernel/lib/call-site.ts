/**
 * Where in an application's code something is: for errors whose own stack does not say so. What PostgreSQL
 * refuses is heard of in a socket's callback, so the stack of that error is pg's; whoever awaits the
 * statement is found when it fails (V8 follows the chain of awaiting functions), and costs nothing before.
 */
import { fileURLToPath } from "node:url";

/** A place in the code; its text is only made when somebody asks for it. */
export interface CallSite {
  readonly stack?: string;
}

type Callee = (...args: never[]) => unknown;

/** Where `callee`, which is running, was called. */
export function callSite(callee: Callee): CallSite {
  const site = {};
  capture(site, callee, 1);
  return site;
}

/** Gives the error the stack of those who await it, and of where its statement is declared. */
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

const kernel = fileURLToPath(new URL("./", import.meta.url));

/**
 * The first frame of an application's code, or of a feature: `src/notes/notes.queries.ts:12:5`, from the
 * working directory if it is below.
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

/** An error, or a place. */
interface Thrown {
  readonly stack?: string;
  readonly message?: string;
}

/** The stack without the error's message before it: a client may have chosen that, and let it look like frames. */
function framesOf({ stack = "", message = "" }: Thrown = {}): string {
  const at = message === "" ? -1 : stack.indexOf(message);
  return at === -1 ? stack : stack.slice(at + message.length);
}

/** The `file:line:column` of each frame. */
const placesIn = (stack = ""): string[] =>
  [...stack.matchAll(/^ {4}at (?:.* \()?(?:async )?([^\s()]+:\d+:\d+)\)?$/gm)].map(
    ([, place = ""]) => place,
  );
