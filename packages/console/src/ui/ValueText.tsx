import { Id, None, Pill, Time } from "./parts.tsx";

const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;
const isId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const longest = 200;

/** A value of the API in a cell. */
export function ValueText({
  value,
  isTag = false,
}: {
  readonly value: unknown;
  readonly isTag?: boolean;
}) {
  if (value === null || value === undefined || value === "") return <None />;
  if (typeof value === "boolean") return <span>{value ? "✓" : "✕"}</span>;
  if (typeof value === "number") return <span>{value.toLocaleString()}</span>;
  if (typeof value === "object")
    return <span className="mono cut">{JSON.stringify(value).slice(0, longest)}</span>;
  const text = String(value);
  if (isId.test(text)) return <Id id={text} />;
  if (isTime.test(text)) return <Time at={text} />;
  if (isTag) return <Pill>{text}</Pill>;
  return <span className="cut">{text.slice(0, longest)}</span>;
}
