import { useLanguage } from "../../../lib/i18n.ts";
import { AuditList } from "../../../ui/AuditList.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { title } from "./title.ts";

export default function Audit() {
  const name = title[useLanguage()];
  return (
    <ScreenFrame title={name}>
      <AuditList path="/platform/audit" label={name} />
    </ScreenFrame>
  );
}
