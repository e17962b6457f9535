import { useLanguage } from "../../../lib/i18n.ts";
import { AuditList } from "../../../ui/AuditList.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { audit } from "./index.ts";

export default function Audit() {
  const title = audit.title[useLanguage()];
  return (
    <ScreenFrame title={title}>
      <AuditList path="/platform/audit" label={title} />
    </ScreenFrame>
  );
}
