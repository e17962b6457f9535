import { useEffect, useState } from "react";

/** Gives the focus back to what has opened a drawer or dialog, when that is gone. */
export function useFocusBack(): void {
  const [opener] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      if (opener instanceof HTMLElement) opener.focus();
    },
    [opener],
  );
}
