/**
 * Parameters as PostgreSQL reads them: as text, or as bytes. The text is the one that `pg` makes of them, so that
 * a parameter means the same on a lane as on a connection's client.
 */

export function parameterText(value: unknown): string | Buffer | null {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return null;
  if (typeof value !== "object") return String(value);
  if (ArrayBuffer.isView(value)) return bytesOf(value);
  if (value instanceof Date) return dateText(value);
  if (Array.isArray(value)) return arrayText(value);
  return JSON.stringify(value);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** `{1,NULL,"a \"b\""}`; of arrays in it too, and of bytes as hexadecimal digits. */
function arrayText(values: readonly unknown[]): string {
  const texts = values.map((value) => {
    if (Array.isArray(value)) return arrayText(value);
    const text = parameterText(value);
    if (text === null) return "NULL";
    if (typeof text !== "string") return `\\\\x${text.toString("hex")}`;
    return `"${text.replaceAll(/[\\"]/g, "\\$&")}"`;
  });
  return `{${texts.join(",")}}`;
}

/** In this process's zone, with its offset: a column without a zone keeps what its clocks show. */
function dateText(date: Date): string {
  const year = date.getFullYear();
  const day = [year < 1 ? 1 - year : year, date.getMonth() + 1, date.getDate()];
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()];
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  const zone = `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  const [first = 0, ...rest] = day;
  const days = [String(first).padStart(4, "0"), ...rest.map(two)].join("-");
  return `${days}T${time.map(two).join(":")}.${milliseconds}${zone}${year < 1 ? " BC" : ""}`;
}

const two = (n: number): string => String(n).padStart(2, "0");
