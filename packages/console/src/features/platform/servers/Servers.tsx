import { Link, useParams } from "@tanstack/react-router";
import { InputNumber, Switch } from "antd";
import { useAct, useGet } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { NumberText, Pill, ScreenFrame } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { Placements } from "./Placements.tsx";

const texts = defineTexts({
  en: {
    about:
      "PostgreSQL servers on which tenants are placed. A new tenant goes to one that accepts, by weight.",
    accepting: "accepts new tenants",
    add: "Add one by the command line, so that its password stays off this page:",
    answers: "answers",
    silent: "does not answer",
    tenants: "tenants",
    title: "Servers",
    weight: "Weight",
  },
  de: {
    about:
      "PostgreSQL-Server, auf denen Mandanten liegen. Ein neuer kommt auf einen, der annimmt, nach Gewicht.",
    accepting: "nimmt neue Mandanten an",
    add: "Ein neuer kommt über die Kommandozeile hinzu, damit sein Passwort nicht auf diese Seite gerät:",
    answers: "antwortet",
    silent: "antwortet nicht",
    tenants: "Mandanten",
    title: "Server",
    weight: "Gewicht",
  },
});

interface Change {
  readonly id: string;
  readonly body: { readonly weight?: number; readonly accepting?: boolean };
}

export default function Servers() {
  const { id } = useParams({ strict: false }) as { readonly id?: string };
  return id === undefined ? <ServerList /> : <Placements id={id} />;
}

function ServerList() {
  const t = useText(texts);
  const servers = useGet(["/servers"], (api, signal) => api.get("/servers", { signal }));
  const change = useAct(
    (api, { id, body }: Change) => api.patch("/servers/{id}", { params: { path: { id } }, body }),
    { changes: ["/servers"] },
  );
  if (servers.error)
    return <Problem error={servers.error} onRetry={() => void servers.refetch()} />;
  if (!servers.data) return <Skeleton />;
  return (
    <ScreenFrame title={t.title} about={t.about}>
      {change.error && <Problem error={change.error} />}
      <ul className="cards">
        {servers.data.items.map(({ id, name, address, weight, accepting, answers, tenants }) => (
          <li key={id}>
            <div className="screen-head flush">
              <span className="inline">
                <strong>{name}</strong>
                <span className="mono quiet">{address}</span>
                <Pill kind={answers ? "good" : "bad"}>{answers ? t.answers : t.silent}</Pill>
                <Link to={`/p/servers/${id}`}>
                  <NumberText value={tenants} /> {t.tenants}
                </Link>
              </span>
              <div className="actions middle">
                <span>{t.weight}</span>
                <InputNumber
                  aria-label={`${name}: ${t.weight}`}
                  min={0}
                  max={1000}
                  value={weight}
                  onChange={(value) =>
                    value !== null && change.mutate({ id, body: { weight: value } })
                  }
                />
                <Switch
                  aria-label={`${name}: ${t.accepting}`}
                  checked={accepting}
                  onChange={(value) => change.mutate({ id, body: { accepting: value } })}
                />
                <span>{t.accepting}</span>
              </div>
            </div>
          </li>
        ))}
      </ul>
      <p className="quiet" style={{ marginTop: 16 }}>
        {t.add} <code>insulae server add</code>
      </p>
    </ScreenFrame>
  );
}
