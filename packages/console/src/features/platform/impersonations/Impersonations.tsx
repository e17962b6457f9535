import type { Schemas } from "@insulae/client";
import { Button, Popconfirm } from "antd";
import { useAct } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { Id, Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about:
      "Administrators of the platform who act as a tenant's user. The tenant sees each of them, and can end it.",
    active: "active now",
    began: "Began",
    by: "Administrator",
    empty: "Nobody has acted as somebody else",
    emptyAbout: "Begin at a tenant, in its tab for users.",
    end: "End it",
    ended: "ended",
    ends: "Until",
    over: "Over",
    reason: "Reason",
    state: "State",
    tenant: "Tenant",
    title: "Impersonations",
    user: "Acts as",
  },
  de: {
    about:
      "Administratoren der Plattform, die als Benutzer eines Mandanten handeln. Der Mandant sieht jeden und kann es beenden.",
    active: "gerade aktiv",
    began: "Begann",
    by: "Administrator",
    empty: "Niemand hat als jemand anderes gehandelt",
    emptyAbout: "Beginnen Sie bei einem Mandanten, im Tab für Benutzer.",
    end: "Beenden",
    ended: "beendet",
    ends: "Bis",
    over: "Vorbei",
    reason: "Grund",
    state: "Zustand",
    tenant: "Mandant",
    title: "Handeln als",
    user: "Handelt als",
  },
});

type Impersonation = Schemas["Impersonation"];
const isActive = ({ ended_at, ends_at }: Impersonation) =>
  ended_at === null && new Date(ends_at).getTime() > Date.now();

export default function Impersonations() {
  const t = useText(texts);
  const end = useAct(
    (api, id: string) => api.delete("/platform/impersonations/{id}", { params: { path: { id } } }),
    { changes: ["/platform/impersonations"] },
  );
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <ResourceList<Impersonation>
        of="/platform/impersonations"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/platform/impersonations", {
            params: { query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={(each) => each.id}
        filters={[
          {
            name: "active",
            label: t.state,
            options: [
              { value: "true", label: t.active },
              { value: "false", label: t.over },
            ],
          },
        ]}
        columns={[
          { title: t.by, render: ({ administrator_email }) => administrator_email },
          {
            title: t.user,
            render: (each) => each.user_name ?? each.user_email ?? <Id id={each.user_id} />,
          },
          { title: t.tenant, render: ({ tenant_id }) => <Id id={tenant_id} /> },
          { title: t.reason, render: ({ reason }) => <span className="cut">{reason}</span> },
          { title: t.began, render: ({ created_at }) => <Time at={created_at} /> },
          { title: t.ends, render: ({ ended_at, ends_at }) => <Time at={ended_at ?? ends_at} /> },
          {
            title: t.state,
            render: (each) =>
              isActive(each) ? (
                <Popconfirm title={t.end} onConfirm={() => end.mutateAsync(each.id)}>
                  <Button size="small" danger>
                    {t.end}
                  </Button>
                </Popconfirm>
              ) : (
                <Pill>{t.over}</Pill>
              ),
          },
        ]}
        empty={<Empty title={t.empty} about={t.emptyAbout} />}
      />
    </ScreenFrame>
  );
}
