import { Tabs } from "antd";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { useFilters } from "../../../lib/search.ts";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { History } from "./History.tsx";
import { Suppressions } from "./Suppressions.tsx";
import { SystemMails } from "./SystemMails.tsx";
import { Templates } from "./Templates.tsx";
import { texts } from "./texts.ts";

export default function Notifications() {
  const t = useText(texts);
  const may = useMay();
  const [{ tab = "history" }, change] = useFilters();
  const seesTemplates = may("notification-templates:read");
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <Tabs
        activeKey={tab}
        destroyOnHidden
        // A filter of one list means nothing to the next.
        onChange={(next) =>
          change({ tab: next, type: undefined, status: undefined, recipient: undefined })
        }
        items={[
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
