import { styleText } from "node:util";
import { printable, printableLines } from "../kernel/lib/text.ts";
import { createLoggerTo, type Logger } from "../kernel/telemetry/log.ts";

const names: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

/**
 * A log for people: one short line per entry on stderr. Any part may come from a client, so it is
 * escaped.
 */
export const createTerminalLogger = (level: string): Logger =>
  createLoggerTo(level, (line) => void process.stderr.write(`${shorten(line)}\n`));

function shorten(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line);
  const name = names[level] ?? String(level);
  const color = level >= 50 ? "red" : level >= 40 ? "yellow" : "gray";
  const details = Object.entries(rest).map(([key, value]) => `${key}=${textOf(value)}`);
  const text = printable([msg, ...details].join(" "));
  const cause = err === undefined ? "" : ` ${causeOf(err, level)}`;
  const at = printable(String(time).slice(11, 19));
  return `${at} ${styleText(color, printable(name).padEnd(5))} ${text}${cause}`;
}

/** The stack if it helps, with all lines but the first indented like frames. */
function causeOf({ stack, message }: Record<string, unknown>, level: number): string {
  return level >= 50
    ? printableLines(ownFrames(String(stack ?? message)))
    : printable(String(message));
}

/** Omits frames of Node and packages, unless there are no others. */
function ownFrames(stack: string): string {
  const lines = stack.split("\n");
  const isOther = (line: string) => /^\s+at .*(node:|[/\\]node_modules[/\\])/.test(line);
  const own = lines.filter((line) => !isOther(line));
  return (own.some((line) => /^\s+at /.test(line)) ? own : lines).join("\n");
}

const textOf = (value: unknown): string => {
  const json = JSON.stringify(value) ?? String(value);
  return typeof value === "string" ? json.slice(1, -1) : json;
};
