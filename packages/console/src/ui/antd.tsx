/** antd as the console has it. Loaded with the first screen, not with the shell. */
import "virtual:antd.css";
import "./antd.css";
import { App, theme as antdTheme, ConfigProvider } from "antd";
import deDE from "antd/locale/de_DE";
import enUS from "antd/locale/en_US";
import { type ReactNode, useMemo } from "react";
import { useLanguage } from "../lib/i18n.ts";
import { useTheme } from "../lib/theme.ts";
import { themeOf } from "./antd-theme.ts";

const overlays = () => document.getElementById("overlays") ?? document.body;

export default function Antd({ children }: { readonly children: ReactNode }) {
  const theme = useTheme();
  const language = useLanguage();
  const config = useMemo(() => themeOf(theme, antdTheme), [theme]);
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
