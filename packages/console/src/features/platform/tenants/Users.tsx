import { App, Button, Form, Input, Select } from "antd";
import { useState } from "react";
import { useAct } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { openImpersonation } from "../../../lib/impersonation.ts";
import { consoleUrl } from "../../../lib/place.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about: "Their tenant sees who acted as whom, why and when, and can end it.",
    actAs: "Act as",
    email: "E-mail",
    empty: "It has no users",
    minutes: "For how long",
    minutesOf: (count: number) => `${count} minutes`,
    name: "Name",
    reason: "Reason",
    reasonHint: "Ticket 42: cannot export",
    role: "Role",
    search: "Name or e-mail",
    title: "Users",
  },
  de: {
    about: "Der Mandant sieht, wer als wer gehandelt hat, warum und wann, und kann es beenden.",
    actAs: "Handeln als",
    email: "E-Mail",
    empty: "Er hat keine Benutzer",
    minutes: "Wie lange",
    minutesOf: (count: number) => `${count} Minuten`,
    name: "Name",
    reason: "Grund",
    reasonHint: "Ticket 42: Export geht nicht",
    role: "Rolle",
    search: "Name oder E-Mail",
    title: "Benutzer",
  },
});

interface Props {
  readonly tenant: { readonly id: string; readonly key: string };
}
interface Person {
  readonly id: string;
  readonly email: string;
}
interface Values {
  readonly reason: string;
  readonly minutes: number;
}

/** Whom an administrator may act as, with a reason that the tenant can read. */
export function Users({ tenant }: Props) {
  const t = useText(texts);
  const { message } = App.useApp();
  const [chosen, setChosen] = useState<Person>();
  const begin = useAct(
    (api, { user_id, reason, minutes }: Values & { readonly user_id: string }) =>
      api.post("/platform/impersonations", {
        body: { tenant: tenant.id, user_id, reason, minutes },
      }),
    { changes: ["/platform/impersonations"] },
  );
  const submit = async (values: Values) => {
    if (!chosen) return;
    const { id, ends_at } = await begin.mutateAsync({ ...values, user_id: chosen.id });
    openImpersonation(
      id,
      tenant.key,
      { reason: values.reason, endsAt: Date.parse(ends_at) },
      consoleUrl,
    );
    void message.info(t.about, 6);
  };
  return (
    <>
      <p className="quiet">{t.about}</p>
      <ResourceList
        of="/platform/tenants"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/platform/tenants/{id}/users", {
            params: { path: { id: tenant.id }, query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={(user) => user.id}
        filters={[{ name: "q", label: t.search }]}
        columns={[
          { title: t.name, render: (user) => `${user.first_name} ${user.last_name}` },
          { title: t.email, render: ({ email }) => email },
          { title: t.role, render: ({ role }) => role },
          {
            title: "",
            render: (user) => (
              <Button size="small" disabled={!user.is_active} onClick={() => setChosen(user)}>
                {t.actAs}
              </Button>
            ),
          },
        ]}
        empty={<Empty title={t.empty} />}
      />
      {chosen && (
        <FormDialog<Values>
          title={`${t.actAs} ${chosen.email}`}
          submit={t.actAs}
          initial={{ minutes: 15 }}
          onSubmit={submit}
          onClose={() => setChosen(undefined)}
        >
          <p>{t.about}</p>
          <Form.Item name="reason" label={t.reason} rules={[{ required: true }]}>
            <Input autoFocus maxLength={500} placeholder={t.reasonHint} />
          </Form.Item>
          <Form.Item name="minutes" label={t.minutes}>
            <Select
              options={[5, 15, 30, 60].map((value) => ({ value, label: t.minutesOf(value) }))}
            />
          </Form.Item>
        </FormDialog>
      )}
    </>
  );
}
