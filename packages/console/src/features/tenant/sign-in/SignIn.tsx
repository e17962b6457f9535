import { useText } from "../../../lib/i18n.ts";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { ScreenTabs } from "../../../ui/ScreenTabs.tsx";
import { Domains } from "./Domains.tsx";
import { Rules } from "./Rules.tsx";
import { texts } from "./texts.ts";

export default function SignIn() {
  const t = useText(texts);
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <ScreenTabs
        label={t.title}
        tabs={[
          { key: "rules", label: t.rules, children: <Rules /> },
          { key: "domains", label: t.domains, children: <Domains /> },
        ]}
      />
    </ScreenFrame>
  );
}
