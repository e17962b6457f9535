import { printable } from "../kernel/lib/text.ts";

type Cell = string | number;

/**
 * Formats rows as aligned columns under their heads; numbers are right-aligned.
 *
 * @example table(["NAME", "TENANTS"], [["main", 12]])
 */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const all = [heads, ...rows].map((row) =>
    row.map((cell: Cell) => (typeof cell === "string" ? printable(cell) : cell)),
  );
  const widths = heads.map((_, column) =>
    Math.max(...all.map((row) => String(row[column] ?? "").length)),
  );
  const numeric = heads.map((_, column) => rows.every((row) => typeof row[column] === "number"));
  return all
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return numeric[column] ? String(cell).padStart(width) : String(cell).padEnd(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Formats names and values, one pair per line. */
export const properties = (values: Readonly<Record<string, string | number>>): string =>
  table(
    ["", ""],
    Object.entries(values).map(([name, value]) => [name, String(value)]),
  )
    .split("\n")
    .slice(1)
    .join("\n");
