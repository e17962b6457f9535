import type { Schemas } from "@insulae/client";
import { Drawer, Tabs } from "antd";
import { useState } from "react";
import { useGet } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { serverUrl } from "../../../lib/place.ts";
import { useIsNarrow } from "../../../lib/use-media.ts";
import { Id, Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { useFocusBack } from "../../../ui/use-focus-back.ts";

const texts = defineTexts({
  en: {
    about:
      "What the server sends. Where mails are captured, they can be read here, and their links work.",
    attempts: "Attempts",
    dropped: "dropped",
    empty: "No mails yet",
    failed: "failed",
    html: "As the recipient sees it",
    links: "Links",
    reason: "Why",
    sent: "sent",
    state: "State",
    template: "Kind",
    tenant: "Tenant",
    text: "Text",
    title: "Mails",
    to: "To",
    waiting: "waiting",
    when: "When",
  },
  de: {
    about:
      "Was der Server verschickt. Wo Mails abgefangen werden, kann man sie hier lesen, und ihre Links gelten.",
    attempts: "Versuche",
    dropped: "entfallen",
    empty: "Noch keine Mails",
    failed: "gescheitert",
    html: "Wie der Empfänger sie sieht",
    links: "Links",
    reason: "Warum",
    sent: "verschickt",
    state: "Zustand",
    template: "Art",
    tenant: "Mandant",
    text: "Text",
    title: "Mails",
    to: "An",
    waiting: "wartet",
    when: "Wann",
  },
});

type Mail = Schemas["Mail"];
const states = ["waiting", "sent", "dropped", "failed"] as const;
const kinds = {
  waiting: "neutral",
  sent: "good",
  dropped: "neutral",
  failed: "bad",
} as const;

export default function Mails() {
  const t = useText(texts);
  const [shown, setShown] = useState<string>();
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <ResourceList<Mail>
        of="/mails"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/mails", { params: { query: { limit: 50, ...query } as object }, signal })
        }
        rowKey={(mail) => mail.id}
        filters={[
          { name: "to", label: t.to },
          {
            name: "state",
            label: t.state,
            options: states.map((value) => ({ value, label: t[value] })),
          },
        ]}
        columns={[
          {
            title: t.to,
            render: ({ id, to }) => (
              <button type="button" className="link cut" onClick={() => setShown(id)}>
                {to}
              </button>
            ),
          },
          { title: t.template, render: ({ template, captured }) => captured?.subject ?? template },
          { title: t.state, render: ({ state }) => <Pill kind={kinds[state]}>{t[state]}</Pill> },
          { title: t.tenant, render: ({ tenant_id }) => <Id id={tenant_id} /> },
          { title: t.attempts, align: "right", render: ({ attempts }) => attempts },
          { title: t.reason, render: ({ reason }) => <span className="cut bad">{reason}</span> },
          { title: t.when, render: ({ created_at }) => <Time at={created_at} /> },
        ]}
        empty={<Empty title={t.empty} />}
      />
      {shown && <MailDrawer id={shown} onClose={() => setShown(undefined)} />}
    </ScreenFrame>
  );
}

function MailDrawer({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  useFocusBack();
  const t = useText(texts);
  const narrow = useIsNarrow();
  const mail = useGet(["/mails", id], (api, signal) =>
    api.get("/mails/{id}", { params: { path: { id } }, signal }),
  );
  const captured = mail.data?.captured;
  return (
    <Drawer
      open
      title={captured?.subject ?? mail.data?.template}
      size={narrow ? "100%" : 680}
      onClose={onClose}
    >
      {mail.error && <Problem error={mail.error} />}
      {mail.data && !captured && <p className="quiet">{mail.data.reason ?? t[mail.data.state]}</p>}
      {captured && (
        <Tabs
          items={[
            {
              key: "html",
              label: t.html,
              children: (
                <iframe
                  className="mail"
                  title={captured.subject}
                  sandbox=""
                  src={`${serverUrl}/api/v1/mails/${id}/preview`}
                />
              ),
            },
            {
              key: "text",
              label: t.text,
              children: <pre className="mail-text">{captured.text}</pre>,
            },
            {
              key: "links",
              label: t.links,
              children: (
                <ul>
                  {linksOf(captured.text).map((link) => (
                    <li key={link}>
                      <a href={link} target="_blank" rel="noreferrer">
                        {link}
                      </a>
                    </li>
                  ))}
                </ul>
              ),
            },
          ]}
        />
      )}
    </Drawer>
  );
}

const linksOf = (text: string): string[] => [...new Set(text.match(/https?:\/\/\S+/g) ?? [])];
