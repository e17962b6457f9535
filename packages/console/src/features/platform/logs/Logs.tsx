import { useLanguage } from "../../../lib/i18n.ts";
import { LogView } from "../../../ui/LogView.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { logs } from "./index.ts";

export default function Logs() {
  const title = logs.title[useLanguage()];
  return (
    <ScreenFrame title={title}>
      <LogView label={title} />
    </ScreenFrame>
  );
}
