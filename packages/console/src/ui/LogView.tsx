/**
 * The live log. The view follows the newest line until somebody scrolls up, selects or pauses; only
 * people change that, never the arrival of lines.
 */
import { ApiError, type LogLine } from "@insulae/client";
import { Button, Input, Select } from "antd";
import { useEffect, useMemo, useRef, useState } from "react";
import { useApiContext } from "../lib/context.tsx";
import { defineTexts, useText } from "../lib/i18n.ts";
import { saveAs } from "../lib/save-as.ts";
import { useFilters } from "../lib/search.ts";
import { Problem } from "./states.tsx";
import "./log.css";

const texts = defineTexts({
  en: {
    clear: "Clear",
    connected: "connected",
    connecting: "connecting…",
    download: "Download",
    empty: "No line yet. Each request writes one.",
    filter: "Only lines with this text",
    follow: "Follow",
    impersonating:
      "Somebody who acts as another has no live log. The platform's log has this tenant's lines.",
    interrupted: "— interrupted: lines of that time are missing —",
    level: "Level",
    lines: (count: number) => `${count} lines`,
    newLines: (count: number) => `${count} new`,
    pause: "Pause",
    resume: "Go on",
  },
  de: {
    clear: "Leeren",
    connected: "verbunden",
    connecting: "verbindet …",
    download: "Herunterladen",
    empty: "Noch keine Zeile. Jede Anfrage schreibt eine.",
    filter: "Nur Zeilen mit diesem Text",
    follow: "Folgen",
    impersonating:
      "Wer als jemand anderes handelt, hat kein Live-Log. Das der Plattform hat die Zeilen dieses Mandanten.",
    interrupted: "— unterbrochen: Zeilen dieser Zeit fehlen —",
    level: "Stufe",
    lines: (count: number) => `${count} Zeilen`,
    newLines: (count: number) => `${count} neue`,
    pause: "Anhalten",
    resume: "Weiter",
  },
});

interface Line extends LogLine {
  readonly id: number;
}

const levels = ["debug", "info", "warn", "error"] as const;
type Level = (typeof levels)[number];
const mostKept = 5_000;
const rowHeight = 22;
const spare = 20;

export function LogView({ label }: { readonly label: string }) {
  const t = useText(texts);
  const { impersonation } = useApiContext();
  if (impersonation !== undefined) return <p className="quiet">{t.impersonating}</p>;
  return <Stream label={label} />;
}

function Stream({ label }: { readonly label: string }) {
  const t = useText(texts);
  const [{ level = "info", q = "" }, change] = useFilters();
  const { lines, isOpen, error, clear, paused, setPaused } = useLines(level as Level);
  const shown = useMemo(() => {
    const wanted = q.toLowerCase();
    if (wanted === "") return lines;
    return lines.filter((line) => textOf(line).toLowerCase().includes(wanted));
  }, [lines, q]);
  const [following, setFollowing] = useState(true);
  const [seen, setSeen] = useState(0);
  const last = shown.at(-1)?.id ?? 0;
  const follow = (on: boolean) => {
    setFollowing(on);
    setSeen(last);
  };
  return (
    <>
      <div className="filters">
        <Select<Level>
          aria-label={t.level}
          value={level as Level}
          options={levels.map((value) => ({ value, label: value }))}
          onChange={(value) => change({ level: value })}
        />
        <Input
          type="search"
          allowClear
          aria-label={t.filter}
          placeholder={t.filter}
          style={{ width: 260 }}
          value={q}
          onChange={(event) => change({ q: event.target.value })}
        />
        <Button
          aria-pressed={following}
          type={following ? "primary" : "default"}
          onClick={() => follow(!following)}
        >
          {t.follow}
        </Button>
        <Button onClick={() => setPaused(!paused)}>{paused ? t.resume : t.pause}</Button>
        <Button onClick={clear}>{t.clear}</Button>
        <Button
          disabled={shown.length === 0}
          onClick={() => saveAs(new Blob([`${shown.map(textOf).join("\n")}\n`]), "insulae.log")}
        >
          {t.download}
        </Button>
        <span className="count">
          <span className={isOpen ? "good" : "warn"}>● {isOpen ? t.connected : t.connecting}</span>{" "}
          {t.lines(shown.length)}
        </span>
      </div>
      {error ? (
        <Problem error={error} />
      ) : (
        <Rows label={label} lines={shown} following={following} onFollow={follow} />
      )}
      {!following && last > seen && (
        <button type="button" className="log-new" onClick={() => follow(true)}>
          ▼ {t.newLines(shown.filter(({ id }) => id > seen).length)}
        </button>
      )}
      {shown.length === 0 && !error && <p className="quiet">{t.empty}</p>}
    </>
  );
}

const textOf = ({ timestamp, level, target, message }: LogLine): string =>
  `[${timestamp}] ${level} [${target}] ${message}`;

interface RowsProps {
  readonly label: string;
  readonly lines: readonly Line[];
  readonly following: boolean;
  readonly onFollow: (on: boolean) => void;
}

/** As many rows as fit, and a few more: the rest is only height. */
function Rows({ label, lines, following, onFollow }: RowsProps) {
  const box = useRef<HTMLElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each line
  useEffect(() => {
    const element = box.current;
    if (element && following) element.scrollTop = element.scrollHeight;
  }, [lines, following]);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const visible = lines.slice(first, first + Math.ceil(height / rowHeight) + spare * 2);
  return (
    <section
      ref={box}
      className="log"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
      tabIndex={0}
      onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
      onWheel={({ deltaY }) => deltaY < 0 && following && onFollow(false)}
      onPointerDown={() => following && onFollow(false)}
      onKeyDown={({ key }) => {
        if (/^(ArrowUp|PageUp|Home)$/.test(key) && following) onFollow(false);
        if (key === "End") onFollow(true);
      }}
    >
      <div style={{ height: lines.length * rowHeight, position: "relative" }}>
        <ol style={{ transform: `translateY(${first * rowHeight}px)` }}>
          {visible.map((line) => (
            <li key={line.id} className={`log-${line.level.toLowerCase()}`}>
              <span className="quiet">{line.timestamp.slice(11)}</span> <b>{line.level}</b>{" "}
              <span className="quiet">{line.target}</span> {line.message}
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

function useLines(level: Level) {
  const t = useText(texts);
  const { client } = useApiContext();
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [isOpen, setOpen] = useState(false);
  const [error, setError] = useState<unknown>();
  const [paused, setPaused] = useState(false);
  const isPaused = useRef(paused);
  isPaused.current = paused;
  const interrupted = t.interrupted;
  useEffect(() => {
    const controller = new AbortController();
    let made = 0;
    let opened = false;
    let waiting: Line[] = [];
    let frame = 0;
    const add = (line: LogLine) => {
      if (isPaused.current) return;
      made += 1;
      waiting.push({ ...line, id: Date.now() * 1_000 + (made % 1_000) + made / 1e6 });
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        const added = waiting;
        waiting = [];
        setLines((was) => [...was, ...added].slice(-mostKept));
      });
    };
    setError(undefined);
    client
      .logs(add, {
        level,
        signal: controller.signal,
        onOpen: () => {
          setOpen(true);
          if (opened) {
            add({
              timestamp: new Date().toISOString().replace("T", " ").slice(0, 23),
              level: "WARN",
              target: "console",
              message: interrupted,
            });
          }
          opened = true;
        },
      })
      .catch((refused) => {
        if (!controller.signal.aborted && refused instanceof ApiError) setError(refused);
      });
    return () => {
      controller.abort();
      cancelAnimationFrame(frame);
      setOpen(false);
    };
  }, [client, level, interrupted]);
  return { lines, isOpen, error, clear: () => setLines([]), paused, setPaused };
}
