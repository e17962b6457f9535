import type { theme as antdTheme, ThemeConfig } from "antd";
import type { Theme } from "../lib/theme.ts";

/** Colours with enough contrast: antd's own are below 4.5 : 1. They are those of `theme.css`. */
const tokens = {
  light: {
    colorPrimary: "#0958d9",
    colorPrimaryHover: "#1d66e0",
    colorLink: "#0958d9",
    colorLinkHover: "#0958d9",
    colorError: "#cf1322",
    colorErrorHover: "#a8071a",
    colorSuccess: "#237804",
    colorWarning: "#ad6800",
    colorWarningBg: "#fffbe6",
    colorErrorBg: "#fff1f0",
    colorSuccessBg: "#ecf8e6",
    colorText: "#1b1f27",
    colorTextSecondary: "#565e6b",
    colorTextTertiary: "#565e6b",
    colorTextDescription: "#565e6b",
    colorTextPlaceholder: "#646d7b",
    colorBgContainer: "#ffffff",
    colorBorder: "#868e9c",
    colorBorderSecondary: "#e1e4e9",
  },
  dark: {
    colorPrimary: "#1668dc",
    colorPrimaryHover: "#2272df",
    colorLink: "#65a9f3",
    colorLinkHover: "#65a9f3",
    colorError: "#ff7875",
    colorErrorHover: "#ff9c99",
    colorSuccess: "#6abe39",
    colorWarning: "#e8b339",
    colorWarningBg: "#2b2111",
    colorErrorBg: "#2c1618",
    colorSuccessBg: "#16260e",
    colorText: "#e8eaee",
    colorTextSecondary: "#a3abb8",
    colorTextTertiary: "#a3abb8",
    colorTextDescription: "#a3abb8",
    colorTextPlaceholder: "#98a1af",
    colorBgContainer: "#181b20",
    colorBgElevated: "#20242b",
    colorBorder: "#69727f",
    colorBorderSecondary: "#2e343d",
  },
} as const;

export const themeOf = (
  theme: Theme,
  { darkAlgorithm, defaultAlgorithm }: typeof antdTheme,
  /** A tenant's own, on which white text can be read. */
  primary?: string,
): ThemeConfig => ({
  zeroRuntime: true,
  hashed: false,
  algorithm: theme === "dark" ? darkAlgorithm : defaultAlgorithm,
  components: {
    // A filled button's colour is too dark for a text on a dark ground.
    Button: {
      defaultHoverColor: "var(--accent)",
      defaultHoverBorderColor: "var(--accent)",
      defaultActiveColor: "var(--accent)",
      ...(theme === "dark" && { dangerColor: "#1d0a0a" }),
      defaultActiveBorderColor: "var(--accent)",
    },
    Tabs: {
      itemSelectedColor: "var(--accent)",
      itemHoverColor: "var(--accent)",
      inkBarColor: "var(--accent)",
    },
  },
  token: {
    ...tokens[theme],
    ...(primary && { colorPrimary: primary, colorPrimaryHover: primary }),
    borderRadius: 8,
    fontFamily: "var(--sans)",
    fontFamilyCode: "var(--mono)",
    motion: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  },
});
