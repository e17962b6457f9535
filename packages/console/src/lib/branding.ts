import { useEffect } from "react";
import { contrastOf, legible } from "./color.ts";
import { useTheme } from "./theme.ts";

/** Where accents stand: `--ground` of `theme.css`, the more difficult of its grounds. */
const grounds = { light: "#f5f6f8", dark: "#20242b" } as const;
const inks = { light: "#ffffff", dark: "#0b1420" } as const;

/** Shows a tenant's own colour as the accent, as far as it can be read. @returns the colour used */
export function useBranding(color: unknown): string | undefined {
  const theme = useTheme();
  const accent = legible(color, grounds[theme]);
  useEffect(() => {
    if (accent === undefined) return undefined;
    const { style } = document.documentElement;
    const ink = contrastOf(accent, inks[theme]) >= 4.5 ? inks[theme] : "#000000";
    style.setProperty("--accent", accent);
    style.setProperty("--on-accent", ink);
    return () => {
      style.removeProperty("--accent");
      style.removeProperty("--on-accent");
    };
  }, [accent, theme]);
  return accent;
}
