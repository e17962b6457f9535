import type { Schemas } from "@insulae/client";
import { useAct } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { Pill, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";

const channels = ["email", "sms", "push"] as const;
const kinds = {
  queued: "neutral",
  sent: "good",
  failed: "bad",
  suppressed: "warn",
  bounced: "bad",
  complained: "bad",
} as const;
const statuses = Object.keys(kinds) as (keyof typeof kinds)[];

export function History() {
  const t = useText(texts);
  const retry = useAct(
    (api, id: string) =>
      api.post("/notifications/history/{id}/retry", { params: { path: { id } } }),
    { changes: ["/notifications/history"] },
  );
  return (
    <>
      {retry.error && <Problem error={retry.error} />}
      <ResourceList<Schemas["Notification"]>
        of="/notifications/history"
        label={t.history}
        read={(api, query, signal) =>
          api.get("/notifications/history", {
            params: { query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={({ id }) => id}
        filters={[
          { name: "recipient", label: t.recipient },
          {
            name: "type",
            label: t.kind,
            options: channels.map((value) => ({ value, label: t[value] })),
          },
          {
            name: "status",
            label: t.status,
            options: statuses.map((value) => ({ value, label: t[value] })),
          },
        ]}
        columns={[
          {
            title: t.recipient,
            render: ({ recipient }) => <span className="cut">{recipient}</span>,
          },
          { title: t.kind, render: ({ type }) => t[type] },
          {
            title: t.template,
            render: ({ template_name, subject }) => (
              <span className="cut">{template_name ?? subject ?? "–"}</span>
            ),
          },
          {
            title: t.status,
            render: ({ status }) => <Pill kind={kinds[status]}>{t[status]}</Pill>,
          },
          {
            title: t.reason,
            render: ({ error_message }) => <span className="cut bad">{error_message}</span>,
          },
          { title: t.attempts, align: "right", render: ({ attempts }) => attempts },
          { title: t.when, render: ({ created_at }) => <Time at={created_at} /> },
          {
            title: "",
            render: ({ id, status }) =>
              (status === "failed" || status === "suppressed") && (
                <ActionButton
                  size="small"
                  operation="post /notifications/history/{id}/retry"
                  loading={retry.isPending && retry.variables === id}
                  onClick={() => retry.mutate(id)}
                >
                  {t.retry}
                </ActionButton>
              ),
          },
        ]}
        empty={<Empty title={t.noHistory} />}
      />
    </>
  );
}
