import { Tabs } from "antd";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { Domains } from "./Domains.tsx";
import { Rules } from "./Rules.tsx";
import { texts } from "./texts.ts";

export default function SignIn() {
  const t = useText(texts);
  const [{ tab = "rules" }, change] = useFilters();
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <Tabs
        activeKey={tab}
        destroyOnHidden
        onChange={(next) => change({ tab: next })}
        items={[
          { key: "rules", label: t.rules, children: <Rules /> },
          { key: "domains", label: t.domains, children: <Domains /> },
        ]}
      />
    </ScreenFrame>
  );
}
