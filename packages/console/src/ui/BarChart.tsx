import { useState } from "react";
import { useLanguage, useText } from "../lib/i18n.ts";
import { None } from "./parts.tsx";
import { texts } from "./texts.ts";

export interface Point {
  /** What it is of, such as a day. */
  readonly name: string;
  readonly value: number;
}

interface Props {
  readonly title: string;
  readonly points: readonly Point[];
  readonly format?: (value: number) => string;
}

const width = 560;
const height = 120;
const widestBar = 32;

/** Bars, of which one is told by the pointer or the arrow keys. */
export function BarChart({ title, points, format }: Props) {
  const t = useText(texts);
  const language = useLanguage();
  const [at, setAt] = useState<number>();
  const say = format ?? ((value: number) => value.toLocaleString(language));
  const most = Math.max(1, ...points.map(({ value }) => value));
  const step = width / Math.max(1, points.length);
  const bar = Math.min(widestBar, step * 0.76);
  const shown = points[at ?? points.length - 1];
  const move = (by: number) =>
    setAt((was) => Math.min(points.length - 1, Math.max(0, (was ?? points.length - 1) + by)));
  return (
    <figure className="chart">
      <figcaption>
        <span>{title}</span>
        {shown ? (
          <b aria-live="polite">
            {say(shown.value)} <span className="quiet">{shown.name}</span>
          </b>
        ) : (
          <None />
        )}
      </figcaption>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: ${points.map((point) => `${point.name} ${say(point.value)}`).join(", ")}`}
        onKeyDown={(event) => {
          if (event.key === "ArrowLeft") move(-1);
          if (event.key === "ArrowRight") move(1);
        }}
        onPointerLeave={() => setAt(undefined)}
      >
        {points.map((point, index) => (
          <g key={point.name} onPointerEnter={() => setAt(index)}>
            <rect x={index * step} y={0} width={step} height={height} fill="transparent" />
            <rect
              className={index === at ? "bar is-on" : "bar"}
              x={index * step + (step - bar) / 2}
              width={bar}
              y={height - Math.max(1.5, (point.value / most) * (height - 4))}
              height={Math.max(1.5, (point.value / most) * (height - 4))}
            />
          </g>
        ))}
      </svg>
      <details>
        <summary className="quiet">{t.asTable}</summary>
        <table className="plain">
          <tbody>
            {points.map(({ name, value }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{say(value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
