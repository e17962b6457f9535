/** Keyboard shortcuts. Single letters do nothing in fields, and can be switched off. */
import { useEffect, useRef, useState } from "react";
import { useText } from "../lib/i18n.ts";
import { readStored, store } from "../lib/storage.ts";
import { Dialog } from "./Dialog.tsx";
import { texts } from "./texts.ts";

interface Actions {
  readonly palette: () => void;
  readonly tenants: () => void;
  readonly api: () => void;
  readonly keys: () => void;
  /** `g` and the first letter of a screen's path. */
  readonly go: (letter: string) => void;
}

const goWithinMs = 1_000;

export function useKeys(actions: Actions): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    let goSince = Number.NEGATIVE_INFINITY;
    const pressed = (event: KeyboardEvent) => {
      const { palette, tenants, api, keys, go } = latest.current;
      const command = event.metaKey || event.ctrlKey;
      const act = (fn: () => void) => {
        event.preventDefault();
        fn();
      };
      if (command && event.key === "k") return act(palette);
      if (command && event.key === "o") return act(tenants);
      if (command && event.key === ".") return act(api);
      if (command || event.altKey || isTyping(event.target) || !hasLetters()) return;
      if (event.key === "e") return act(() => click("[data-edit]"));
      if (document.querySelector("dialog[open], .ant-modal-open, [role=dialog]")) return;
      if (event.timeStamp - goSince < goWithinMs) {
        goSince = Number.NEGATIVE_INFINITY;
        return act(() => go(event.key));
      }
      if (event.key === "g") goSince = event.timeStamp;
      if (event.key === "?") act(keys);
      if (event.key === "/") act(palette);
      if (event.key === "n") act(() => click("[data-new]"));
      if (event.key === "j") act(() => toRow(1));
      if (event.key === "k") act(() => toRow(-1));
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}

const hasLetters = () => readStored("letters") !== "off";

const click = (selector: string): void => document.querySelector<HTMLElement>(selector)?.click();

/** Focuses what leads to the next or previous row of the list. */
function toRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll("main tbody tr, main .cards > li")];
  const links = rows.flatMap((row) => row.querySelector<HTMLElement>("a, button") ?? []);
  const at = links.indexOf(document.activeElement as HTMLElement);
  links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

const shortcuts: readonly (readonly [string, string, string])[] = [
  ["Ctrl/⌘ K, /", "Search or jump", "Suchen oder springen"],
  ["Ctrl/⌘ O", "Change the tenant", "Mandanten wechseln"],
  ["Ctrl/⌘ .", "The requests of this tab", "Die Anfragen dieses Tabs"],
  ["g, then a letter", "Go to the screen that begins with it", "Zur Ansicht, die damit beginnt"],
  ["j, k", "Next row, previous row", "Nächste Zeile, vorige Zeile"],
  ["Enter", "Open", "Öffnen"],
  ["n", "New", "Neu"],
  ["e", "Edit", "Bearbeiten"],
  ["Esc", "Close", "Schließen"],
  ["?", "This list", "Diese Liste"],
];

export function KeyList({ onClose }: { readonly onClose: () => void }) {
  const t = useText(texts);
  const german = document.documentElement.lang === "de";
  const [letters, setLetters] = useState(hasLetters);
  return (
    <Dialog title={t.keys} onClose={onClose}>
      <dl className="keys">
        {shortcuts.map(([keys, english, deutsch]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{german ? deutsch : english}</dd>
          </div>
        ))}
      </dl>
      <label className="inline">
        <input
          type="checkbox"
          checked={letters}
          onChange={({ target }) => {
            store("letters", target.checked ? undefined : "off");
            setLetters(target.checked);
          }}
        />
        {t.letters}
      </label>
    </Dialog>
  );
}
