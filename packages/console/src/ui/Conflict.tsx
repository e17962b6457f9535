import { Alert, Button, Radio } from "antd";
import { useState } from "react";
import { defineTexts, useText } from "../lib/i18n.ts";
import { labelOf } from "./SchemaForm.tsx";
import { ValueText } from "./ValueText.tsx";

export type Values = Readonly<Record<string, unknown>>;

const texts = defineTexts({
  en: {
    apply: "Use these",
    conflict: "Somebody has changed it meanwhile",
    conflictAbout: "Choose for each field what it shall be, then save again.",
    mine: "Mine",
    theirs: "Theirs",
  },
  de: {
    apply: "So übernehmen",
    conflict: "Jemand hat es inzwischen geändert",
    conflictAbout: "Wählen Sie für jedes Feld, was gelten soll, und speichern Sie noch einmal.",
    mine: "Meins",
    theirs: "Das der anderen",
  },
});

interface Props {
  readonly names: readonly string[];
  readonly base: Values;
  readonly mine: Values;
  readonly theirs: Values;
  readonly onChosen: (values: Values) => void;
}

/** Somebody has saved meanwhile: for each field that they changed, one of the two values is chosen. */
export function Conflict({ names, base, mine, theirs, onChosen }: Props) {
  const t = useText(texts);
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const changed = names.filter((name) => !same(base[name], theirs[name]));
  const [chosen, setChosen] = useState<Readonly<Record<string, "mine" | "theirs">>>({});
  const choice = (name: string) =>
    chosen[name] ?? (same(mine[name], base[name]) ? "theirs" : "mine");
  const use = () =>
    onChosen({
      ...mine,
      ...Object.fromEntries(
        changed.map((name) => [name, choice(name) === "mine" ? mine[name] : theirs[name]]),
      ),
    });
  return (
    <Alert
      type="warning"
      showIcon
      title={t.conflict}
      style={{ marginBottom: 16 }}
      description={
        <>
          <p>{t.conflictAbout}</p>
          {changed.map((name) => (
            <div key={name} style={{ margin: "10px 0" }}>
              <strong>{labelOf(name)}</strong>
              <Radio.Group
                aria-label={labelOf(name)}
                style={{ display: "grid", gap: 4 }}
                value={choice(name)}
                onChange={({ target }) => setChosen({ ...chosen, [name]: target.value })}
                options={[
                  {
                    value: "mine",
                    label: (
                      <>
                        {t.mine}: <ValueText value={mine[name]} />
                      </>
                    ),
                  },
                  {
                    value: "theirs",
                    label: (
                      <>
                        {t.theirs}: <ValueText value={theirs[name]} />
                      </>
                    ),
                  },
                ]}
              />
            </div>
          ))}
          <Button onClick={use}>{t.apply}</Button>
        </>
      }
    />
  );
}
