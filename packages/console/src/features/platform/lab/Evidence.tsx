import { useText } from "../../../lib/i18n.ts";
import { Pill } from "../../../ui/parts.tsx";
import type { Outcome } from "./demo.ts";
import { scopeOf } from "./probes.ts";
import { texts } from "./texts.ts";

/** The statements and policies behind an outcome, word for word. */
export function Evidence({ statements = [], policies = [] }: Outcome) {
  const t = useText(texts);
  if (statements.length === 0 && policies.length === 0) return null;
  return (
    <details className="evidence">
      <summary>{statements.length > 0 ? t.showSql : t.showPolicy}</summary>
      {statements.map((probe) => (
        <figure key={probe.name}>
          <figcaption>
            <Pill kind={probe.passed ? "good" : "bad"}>{scopeOf(probe)}</Pill>
            <span>
              {probe.sqlstate ? `${probe.sqlstate} ${probe.message}` : t.rows(probe.rows ?? 0)}
            </span>
          </figcaption>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <pre tabIndex={0}>
            {[probe.sql, ...probe.parameters.map((text, at) => `-- $${at + 1} = ${text}`)].join(
              "\n",
            )}
          </pre>
        </figure>
      ))}
      {policies.map(({ placement, table, policies: own, enabled, forced, owner, role, passed }) => (
        <figure key={placement.id}>
          <figcaption>
            <Pill kind={passed ? "good" : "bad"}>
              {placement.server}/{placement.database}.{placement.schema}.{table}
            </Pill>
            <span>
              {enabled ? t.enabled : t.notEnabled}, {forced ? t.forced : t.notForced}.{" "}
              {t.ownerAndRole(owner, role)}
            </span>
          </figcaption>
          {own.map(({ name, command, using, with_check }) => (
            // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
            <pre key={name} tabIndex={0}>
              {`policy ${name} for ${command.toLowerCase()}\n  using ${using ?? "–"}\n  with check ${with_check ?? "–"}`}
            </pre>
          ))}
        </figure>
      ))}
    </details>
  );
}
