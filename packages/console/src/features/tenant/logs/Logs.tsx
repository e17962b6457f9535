import { useLanguage } from "../../../lib/i18n.ts";
import { LogView } from "../../../ui/LogView.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { title } from "./title.ts";

export default function Logs() {
  const name = title[useLanguage()];
  return (
    <ScreenFrame title={name}>
      <LogView label={name} />
    </ScreenFrame>
  );
}
