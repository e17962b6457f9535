import type { Schemas } from "@insulae/client";
import { Form, Input, Popconfirm, Select } from "antd";
import { useState } from "react";
import { useAct } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { Pill, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";

const channels = ["email", "sms", "push"] as const;

export function Suppressions() {
  const t = useText(texts);
  const [adding, setAdding] = useState(false);
  const changes = { changes: ["/notifications/suppressions"] };
  const add = useAct(
    (api, body: Schemas["NewNotificationSuppression"]) =>
      api.post("/notifications/suppressions", { body }),
    changes,
  );
  const remove = useAct(
    (api, id: string) =>
      api.delete("/notifications/suppressions/{id}", { params: { path: { id } } }),
    changes,
  );
  return (
    <>
      <div className="screen-head">
        <p className="quiet">{t.suppressionsAbout}</p>
        <div className="actions">
          <ActionButton
            operation="post /notifications/suppressions"
            data-new
            onClick={() => setAdding(true)}
          >
            {t.suppress}
          </ActionButton>
        </div>
      </div>
      {remove.error && <Problem error={remove.error} />}
      <ResourceList<Schemas["NotificationSuppression"]>
        of="/notifications/suppressions"
        label={t.suppressions}
        read={(api, query, signal) =>
          api.get("/notifications/suppressions", {
            params: { query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={({ id }) => id}
        filters={[
          { name: "recipient", label: t.address },
          {
            name: "type",
            label: t.kind,
            options: channels.map((value) => ({ value, label: t[value] })),
          },
        ]}
        columns={[
          { title: t.address, render: ({ recipient }) => <span className="cut">{recipient}</span> },
          { title: t.kind, render: ({ type }) => t[type] },
          { title: t.reason, render: ({ reason }) => <Pill>{t[reason]}</Pill> },
          { title: t.detail, render: ({ detail }) => <span className="cut">{detail ?? "–"}</span> },
          { title: t.when, render: ({ created_at }) => <Time at={created_at} /> },
          {
            title: "",
            render: ({ id }) => (
              <Popconfirm
                title={t.removeSuppression}
                onConfirm={() => remove.mutateAsync(id).catch(() => {})}
              >
                <ActionButton size="small" operation="delete /notifications/suppressions/{id}">
                  {t.removeSuppression}
                </ActionButton>
              </Popconfirm>
            ),
          },
        ]}
        empty={<Empty title={t.noSuppressions} about={t.noSuppressionsAbout} />}
      />
      {adding && (
        <FormDialog<Schemas["NewNotificationSuppression"]>
          title={t.suppress}
          submit={t.suppress}
          initial={{ type: "email" }}
          onSubmit={(values) => add.mutateAsync(values)}
          onClose={() => setAdding(false)}
        >
          <Form.Item name="type" label={t.kind}>
            <Select options={channels.map((value) => ({ value, label: t[value] }))} />
          </Form.Item>
          <Form.Item name="recipient" label={t.address} rules={[{ required: true }]}>
            <Input autoFocus autoComplete="off" maxLength={2000} />
          </Form.Item>
          <Form.Item name="detail" label={t.detail}>
            <Input maxLength={500} />
          </Form.Item>
        </FormDialog>
      )}
    </>
  );
}
