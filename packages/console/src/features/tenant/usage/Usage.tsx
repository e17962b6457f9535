import { useLanguage } from "../../../lib/i18n.ts";
import { useMe } from "../../../lib/me.ts";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { UsagePlots } from "../../../ui/UsagePlots.tsx";
import { title } from "./title.ts";

export default function Usage() {
  const language = useLanguage();
  const { tenant } = useMe();
  return (
    <ScreenFrame title={title[language]}>{tenant && <UsagePlots tenant={tenant.id} />}</ScreenFrame>
  );
}
