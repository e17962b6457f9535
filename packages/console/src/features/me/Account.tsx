import { Link } from "@tanstack/react-router";
import { defineTexts, useText } from "../../lib/i18n.ts";
import { useMe } from "../../lib/me.ts";
import { ScreenFrame } from "../../ui/parts.tsx";
import { Empty } from "../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about: "Who you are here, and where you are at work.",
    none: "You are in no tenant yet",
    noneAbout: "Somebody has to invite you, or you make one.",
    tenants: "Your tenants",
    title: "Account",
  },
  de: {
    about: "Wer Sie hier sind, und wo Sie arbeiten.",
    none: "Sie sind noch in keinem Mandanten",
    noneAbout: "Jemand muss Sie einladen, oder Sie legen einen an.",
    tenants: "Ihre Mandanten",
    title: "Konto",
  },
});

export default function Account() {
  const t = useText(texts);
  const { user, tenants = [] } = useMe();
  return (
    <ScreenFrame
      title={t.title}
      about={[user.first_name, user.last_name, user.email].filter(Boolean).join(" ")}
    >
      <div className="panel">
        <h2>{t.tenants}</h2>
        {tenants.length === 0 && <Empty title={t.none} about={t.noneAbout} />}
        <ul className="cards" style={{ marginTop: 12 }}>
          {tenants.map(({ key, name }) => (
            <li key={key}>
              <Link to={`/t/${key}`}>
                <strong>{name}</strong> <span className="quiet">{key}</span>
              </Link>
            </li>
          ))}
        </ul>
      </div>
    </ScreenFrame>
  );
}
