/** How a line of the log is shown to those who watch it: as text, or as a JSON object. */

import { beginning, printable } from "../lib/text.ts";
import { redact, redactText } from "./redact.ts";

export type LogFormat = "text" | "json";

const levels: Readonly<Record<number, string>> = {
  10: "TRACE",
  20: "DEBUG",
  30: "INFO",
  40: "WARN",
  50: "ERROR",
  60: "FATAL",
};

const maxText = 8_192;

/** The fields that a line does not show by their names. */
const shownApart = new Set(["level", "time", "msg", "err", "module", "pid", "hostname"]);

export type Fields = Readonly<Record<string, unknown>>;

/** The fields of a line, without secrets. A logger of an application may write something else. */
export function readLine(line: string): Fields {
  try {
    return redact<Fields>(JSON.parse(line));
  } catch {
    return { msg: redactText(line.trim()) };
  }
}

/**
 * `[2026-01-31 12:00:00.000] INFO [insulae::http] request method=GET …`, or the same in JSON. One line
 * each: control characters are written as escapes.
 */
export function formatLine(fields: Fields, format: LogFormat): string {
  const { level, time, msg, err, module } = fields;
  let text = textOf(msg ?? "");
  for (const name of Object.keys(fields)) {
    if (!shownApart.has(name)) text += ` ${name}=${textOf(fields[name])}`;
  }
  if (err) text += ` error=${errorText(err)}`;
  const message = beginning(text, maxText);
  const target = `insulae::${typeof module === "string" ? module : "route" in fields ? "http" : "server"}`;
  return printed(
    {
      level: levels[Number(level)] ?? "INFO",
      time: isoTimeOf(time),
      target: printable(target),
      message: printable(message),
    },
    format,
  );
}

/** The line that stands for those which a reader was too slow for. */
export function formatDropped(count: number, now: number, format: LogFormat): string {
  const message = `[WARNING] ${count} line${count === 1 ? " was" : "s were"} dropped: this reader is too slow`;
  return format === "text"
    ? message
    : printed({ level: "WARN", time: isoTimeOf(now), target: "insulae::logs", message }, format);
}

interface Printed {
  readonly level: string;
  /** As ISO 8601 has it. */
  readonly time: string;
  readonly target: string;
  readonly message: string;
}

function printed({ level, time, target, message }: Printed, format: LogFormat): string {
  const timestamp = time.replace("T", " ").replace("Z", "");
  return format === "text"
    ? `[${timestamp}] ${level} [${target}] ${message}`
    : JSON.stringify({ timestamp, level, target, message });
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function isoTimeOf(time: unknown): string {
  if (typeof time === "string" && isoTime.test(time)) return time;
  const date = new Date(typeof time === "string" || typeof time === "number" ? time : Date.now());
  return (Number.isNaN(date.getTime()) ? new Date() : date).toISOString();
}

/** Printable ASCII but for the backslash: JSON writes it as it is, but for quotes. */
const plain = /^[ -[\]-~]*$/;

function textOf(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? "";
  return plain.test(value) ? value : JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"');
}

const errorText = (err: unknown): string =>
  typeof err === "object" && err !== null && "message" in err ? textOf(err.message) : textOf(err);
