import { type KeyboardEvent, useEffect, useId, useState } from "react";

/** The keyboard of a field with a list of options below it: arrows, Enter, and what screen readers need. */
export function useOptions(count: number, choose: (at: number) => void) {
  const list = useId();
  const [at, setAt] = useState(0);
  const active = Math.min(at, Math.max(0, count - 1));
  const option = (index: number) => `${list}-${index}`;
  useEffect(() => {
    document.getElementById(`${list}-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [list, active]);
  return {
    active,
    field: {
      role: "combobox",
      "aria-expanded": true,
      "aria-controls": list,
      "aria-activedescendant": count > 0 ? option(active) : undefined,
      "aria-autocomplete": "list",
      autoComplete: "off",
      onKeyDown(event: KeyboardEvent) {
        if (event.key === "ArrowDown") setAt(Math.min(count - 1, active + 1));
        else if (event.key === "ArrowUp") setAt(Math.max(0, active - 1));
        else if (event.key === "Enter" && count > 0) choose(active);
        else return;
        event.preventDefault();
      },
    },
    list: { role: "listbox", id: list },
    option: (index: number) => ({
      role: "option",
      id: option(index),
      "aria-selected": index === active,
      onPointerMove: () => setAt(index),
      onClick: () => choose(index),
    }),
  } as const;
}
