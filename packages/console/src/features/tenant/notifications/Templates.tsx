import type { Schemas } from "@insulae/client";
import { lazy, Suspense, useState } from "react";
import { useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { Pill, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";
import { channels } from "./TemplateFields.tsx";
import { texts } from "./texts.ts";

const NewTemplate = lazy(() => import("./NewTemplate.tsx"));
const Template = lazy(() => import("./Template.tsx"));

export function Templates() {
  const t = useText(texts);
  const [{ template }, change] = useFilters();
  const [making, setMaking] = useState(false);
  const button = (
    <ActionButton
      operation="post /notifications/templates"
      type="primary"
      data-new
      onClick={() => setMaking(true)}
    >
      {t.newTemplate}
    </ActionButton>
  );
  return (
    <>
      <ResourceList<Schemas["NotificationTemplate"]>
        of="/notifications/templates"
        label={t.templates}
        read={(api, query, signal) =>
          api.get("/notifications/templates", {
            params: { query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={({ id }) => id}
        filters={[
          {
            name: "type",
            label: t.kind,
            options: channels.map((value) => ({ value, label: t[value] })),
          },
        ]}
        extra={button}
        columns={[
          {
            title: t.name,
            render: ({ id, name }) => (
              <button type="button" className="link mono" onClick={() => change({ template: id })}>
                {name}
              </button>
            ),
          },
          { title: t.kind, render: ({ type }) => t[type] },
          {
            title: t.subject,
            render: ({ subject }) => <span className="cut">{subject ?? "–"}</span>,
          },
          {
            title: t.status,
            render: ({ is_active }) => (
              <Pill kind={is_active ? "good" : "warn"}>{is_active ? t.active : t.inactive}</Pill>
            ),
          },
          { title: t.when, render: ({ updated_at }) => <Time at={updated_at} /> },
        ]}
        empty={<Empty title={t.noTemplates} about={t.noTemplatesAbout} />}
      />
      <Suspense>
        {making && (
          <NewTemplate
            initial={{ type: "email" }}
            onMade={({ id }) => change({ template: id })}
            onClose={() => setMaking(false)}
          />
        )}
        {template && <Template id={template} onClose={() => change({ template: undefined })} />}
      </Suspense>
    </>
  );
}
