import { Button } from "antd";
import { useState } from "react";
import { type Context, platformContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { borrowToken, changeAnothers, type Outcome, readAnothers, sameSku } from "./demo.ts";
import { Evidence } from "./Evidence.tsx";
import { askProbes, type Probes, policyOf, sameSql, writeAnothers } from "./probes.ts";
import { texts } from "./texts.ts";

interface Props {
  readonly acme: Context;
  readonly globex: Context;
}

interface Attempt {
  readonly name: string;
  readonly expected: string;
  /** @param probes the answer that the last three share */
  readonly run: (probes: () => Promise<Probes>) => Promise<Outcome>;
}

/** What one tenant tries against the other, and what it comes to. */
export function Attempts({ acme, globex }: Props) {
  const t = useText(texts);
  const sides = { acme: acme.client, globex: globex.client };
  const attempts: readonly Attempt[] = [
    { name: t.s1, expected: t.s1a, run: () => readAnothers(sides, t) },
    { name: t.s2, expected: t.s2a, run: () => borrowToken(sides) },
    { name: t.s3, expected: t.s3a, run: () => changeAnothers(sides) },
    { name: t.s4, expected: t.s4a, run: () => sameSku(sides) },
    { name: t.s5, expected: t.s5a, run: async (probes) => sameSql(await probes()) },
    { name: t.s6, expected: t.s6a, run: async (probes) => writeAnothers(await probes()) },
    { name: t.s7, expected: t.s7a, run: async (probes) => policyOf(await probes()) },
  ];
  const [outcomes, setOutcomes] = useState<readonly (Outcome | undefined)[]>([]);
  const [running, setRunning] = useState(false);
  const run = async (which: readonly number[]) => {
    setRunning(true);
    let asked: Promise<Probes> | undefined;
    const probes = () => {
      asked ??= askProbes(platformContext.client);
      return asked;
    };
    for (const at of which) {
      const outcome = await attempts[at]?.run(probes).catch((error) => ({
        passed: false,
        lines: [refusalOf(error).title],
      }));
      setOutcomes((was) => attempts.map((_, each) => (each === at ? outcome : was[each])));
    }
    setRunning(false);
  };
  const done = outcomes.filter((each) => each !== undefined);
  return (
    <div className="panel">
      <div className="screen-head">
        <h2>{t.tryIt}</h2>
        <div className="actions">
          <span role="status" className={done.every(({ passed }) => passed) ? "good" : "bad"}>
            {done.length > 0 && t.passed(done.filter(({ passed }) => passed).length, done.length)}
          </span>
          <Button
            type="primary"
            loading={running}
            onClick={() => void run(attempts.map((_, at) => at))}
          >
            {t.runAll}
          </Button>
        </div>
      </div>
      <ol className="attempts">
        {attempts.map(({ name, expected }, at) => {
          const outcome = outcomes[at];
          return (
            <li key={name}>
              <button
                type="button"
                className="link"
                disabled={running}
                onClick={() => void run([at])}
              >
                {name}
              </button>
              <span className="quiet">{expected}</span>
              <span className={outcome ? (outcome.passed ? "good" : "bad") : "quiet"}>
                {outcome ? (
                  <>
                    <Icon name={outcome.passed ? "check" : "alert"} size={16} />{" "}
                    <span className="mono">{outcome.lines.join(" · ")}</span>
                  </>
                ) : (
                  t.wait
                )}
              </span>
              {outcome && <Evidence {...outcome} />}
            </li>
          );
        })}
      </ol>
    </div>
  );
}
