/**
 * The line of a request that has ended. There is one for each, so that it is put together here, without pino's
 * formatters: 1 µs instead of 5. What it holds is escaped and cleaned of secrets as in any other line.
 */
import { pino } from "pino";
import { type Destination, type Logger, lineTimeOf } from "./log.ts";
import { isPlain, redactText } from "./redact.ts";

export interface RequestEnd {
  readonly request_id: string;
  readonly tenant_id: string | undefined;
  readonly user_id: string | undefined;
  /** Who acts in the user's stead: the name of the field, and the id. */
  readonly standIn: Readonly<Record<string, string>> | undefined;
  readonly trace_id: string | undefined;
  readonly method: string;
  readonly status: number;
  readonly duration_ms: number;
  readonly aborted: boolean;
}

export type LogRequest = (request: RequestEnd) => void;

const info = 30;
const message = "request";

/** Writes the lines of a route's requests, while the log wants them. @param route its pattern, if there is one. */
export function requestLine(log: Logger, route: string | undefined): LogRequest {
  const time = lineTimeOf(log);
  if (!time) {
    return (request) => {
      if (log.isLevelEnabled("info")) log.info(fieldsOf(request, route), message);
    };
  }
  // What the logger is bound to is text already.
  const bindings: string = Reflect.get(log, pino.symbols.chindingsSym);
  const destination: Destination = Reflect.get(log, pino.symbols.streamSym);
  const ofRoute = member("route", route);
  return (request) => {
    if (log.levelVal > info) return;
    const { standIn } = request;
    let others = "";
    for (const name in standIn) others += member(name, standIn[name]);
    const line =
      `{"level":${info}${time()}${bindings}` +
      `${member("request_id", request.request_id)}${member("tenant_id", request.tenant_id)}` +
      `${member("user_id", request.user_id)}${others}${member("trace_id", request.trace_id)}` +
      `${member("method", request.method)}${ofRoute},"status":${request.status}` +
      `,"duration_ms":${request.duration_ms}${request.aborted ? ',"aborted":true' : ""}` +
      `,"msg":"${message}"}\n`;
    destination.lastLevel = info;
    destination.lastObj = request;
    destination.lastMsg = message;
    destination.lastLogger = log;
    destination.write(line);
  };
}

/** @param name plain, and none that says that its text is secret. */
function member(name: string, text: string | undefined): string {
  if (text === undefined) return "";
  return `,"${name}":${isPlain(text) ? `"${text}"` : JSON.stringify(redactText(text))}`;
}

const fieldsOf = (
  { standIn, trace_id, aborted, ...rest }: RequestEnd,
  route: string | undefined,
) => {
  const { request_id, tenant_id, user_id, method, status, duration_ms } = rest;
  return {
    ...{ request_id, tenant_id, user_id, ...standIn, ...(trace_id !== undefined && { trace_id }) },
    ...{ method, route, status, duration_ms, ...(aborted && { aborted }) },
  };
};
