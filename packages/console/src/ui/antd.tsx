/** antd as the console has it. Loaded with the first screen, not with the shell. */
import "virtual:antd.css";
import "./antd.css";
import { App, theme as antdTheme, ConfigProvider } from "antd";
import deDE from "antd/locale/de_DE";
import enUS from "antd/locale/en_US";
import { type ReactNode, useMemo } from "react";
import { useBranding } from "../lib/branding.ts";
import { legible } from "../lib/color.ts";
import { useLanguage } from "../lib/i18n.ts";
import { useTheme } from "../lib/theme.ts";
import { themeOf } from "./antd-theme.ts";

const overlays = () => document.getElementById("overlays") ?? document.body;

interface Props {
  /** The tenant's own colour, if it has one. */
  readonly color: unknown;
  readonly children: ReactNode;
}

export default function Antd({ color, children }: Props) {
  useBranding(color);
  const primary = legible(color, "#ffffff");
  const theme = useTheme();
  const language = useLanguage();
  const config = useMemo(() => themeOf(theme, antdTheme, primary), [theme, primary]);
  return (
    <ConfigProvider
      theme={config}
      locale={language === "de" ? deDE : enUS}
      getPopupContainer={overlays}
      componentSize="middle"
    >
      <App component={false}>{children}</App>
    </ConfigProvider>
  );
}
