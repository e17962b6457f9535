/** The parts of a screen. Which of them is shown is in the address; only that one is made. */
import { type KeyboardEvent, type ReactNode, useId, useRef } from "react";
import { type Search, useFilters } from "../lib/search.ts";

export interface ScreenTab {
  readonly key: string;
  readonly label: string;
  readonly children: ReactNode;
}

interface Props {
  readonly label: string;
  readonly tabs: readonly ScreenTab[];
  /** What else is in the address, and means nothing to the others. */
  readonly drop?: readonly string[];
}

export function ScreenTabs({ label, tabs, drop = [] }: Props) {
  const [search, change] = useFilters();
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const at = Math.max(
    0,
    tabs.findIndex(({ key }) => key === search.tab),
  );
  const choose = (next: number) => {
    const others: Search = Object.fromEntries(drop.map((name) => [name, undefined]));
    change({ ...others, tab: tabs[next]?.key });
  };
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = (at + step + tabs.length) % tabs.length;
    choose(next);
    const button = list.current?.children[next];
    if (button instanceof HTMLElement) button.focus();
  };
  return (
    <>
      <div ref={list} className="screen-tabs" role="tablist" aria-label={label} onKeyDown={move}>
        {tabs.map((tab, index) => (
          <button
            key={tab.key}
            type="button"
            role="tab"
            id={`${id}-${tab.key}`}
            aria-selected={index === at}
            aria-controls={`${id}-panel`}
            tabIndex={index === at ? 0 : -1}
            onClick={() => choose(index)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div
        key={tabs[at]?.key}
        role="tabpanel"
        id={`${id}-panel`}
        aria-labelledby={`${id}-${tabs[at]?.key}`}
      >
        {tabs[at]?.children}
      </div>
    </>
  );
}
