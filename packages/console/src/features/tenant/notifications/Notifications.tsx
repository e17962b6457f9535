import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { ScreenTabs } from "../../../ui/ScreenTabs.tsx";
import { History } from "./History.tsx";
import { Suppressions } from "./Suppressions.tsx";
import { SystemMails } from "./SystemMails.tsx";
import { Templates } from "./Templates.tsx";
import { texts } from "./texts.ts";

export default function Notifications() {
  const t = useText(texts);
  const may = useMay();
  const seesTemplates = may("notification-templates:read");
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <ScreenTabs
        label={t.title}
        drop={["type", "status", "recipient", "template"]}
        tabs={[
          { key: "history", label: t.history, children: <History /> },
          ...(seesTemplates
            ? [
                { key: "templates", label: t.templates, children: <Templates /> },
                { key: "system", label: t.system, children: <SystemMails /> },
              ]
            : []),
          { key: "suppressions", label: t.suppressions, children: <Suppressions /> },
        ]}
      />
    </ScreenFrame>
  );
}
