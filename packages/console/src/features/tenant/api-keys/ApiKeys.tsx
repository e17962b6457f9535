import { Button, Form, Input, Modal, Popconfirm, Select } from "antd";
import { useState } from "react";
import { useAct } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { useMay, useMe } from "../../../lib/me.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { ScreenFrame, SecretOnce, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about:
      "Programs sign in with these. A key may do at most what its maker may, and ends with them.",
    created: "Made",
    days: (count: number) => `${count} days`,
    empty: "No program has a key",
    expires: "Ends",
    made: "Your new key",
    name: "Name",
    never: "Never",
    newKey: "New key",
    prefix: "Begins with",
    revoke: "Revoke",
    revokeAbout: "Programs that use it are refused within a second.",
    scopes: "May do",
    title: "API keys",
    used: "Last used",
  },
  de: {
    about:
      "Damit melden sich Programme an. Ein Schlüssel darf höchstens, was sein Ersteller darf, und endet mit ihm.",
    created: "Angelegt",
    days: (count: number) => `${count} Tage`,
    empty: "Kein Programm hat einen Schlüssel",
    expires: "Endet",
    made: "Ihr neuer Schlüssel",
    name: "Name",
    never: "Nie",
    newKey: "Neuer Schlüssel",
    prefix: "Beginnt mit",
    revoke: "Widerrufen",
    revokeAbout: "Programme, die ihn benutzen, werden innerhalb einer Sekunde abgewiesen.",
    scopes: "Darf",
    title: "API-Schlüssel",
    used: "Zuletzt benutzt",
  },
});

interface Values {
  readonly name: string;
  readonly scopes: string[];
  readonly days: number;
}
const dayMs = 86_400_000;
const lifetimes = [30, 90, 365];
const changes = { changes: ["/api-keys"] };

export default function ApiKeys() {
  const t = useText(texts);
  const may = useMay();
  const { permissions } = useMe();
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState<string>();
  const make = useAct(
    (api, { name, scopes, days }: Values) =>
      api.post("/api-keys", {
        body: {
          name,
          scopes,
          expires_at: days > 0 ? new Date(Date.now() + days * dayMs).toISOString() : null,
        },
      }),
    changes,
  );
  const revoke = useAct(
    (api, id: string) => api.delete("/api-keys/{id}", { params: { path: { id } } }),
    changes,
  );
  const mayWrite = may("api-keys:write");
  const button = mayWrite && (
    <Button type="primary" data-new onClick={() => setMaking(true)}>
      {t.newKey}
    </Button>
  );
  return (
    <ScreenFrame title={t.title} about={t.about} actions={button}>
      <ResourceList
        of="/api-keys"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/api-keys", { params: { query: { limit: 50, ...query } as object }, signal })
        }
        rowKey={(key) => key.id}
        columns={[
          { title: t.name, render: ({ name }) => name },
          { title: t.prefix, render: ({ prefix }) => <span className="mono">{prefix}…</span> },
          {
            title: t.scopes,
            render: ({ scopes }) => (
              <span className="cut" title={scopes.join(", ")}>
                {scopes.join(", ")}
              </span>
            ),
          },
          { title: t.created, render: ({ created_at }) => <Time at={created_at} /> },
          { title: t.used, render: ({ last_used_at }) => <Time at={last_used_at} /> },
          {
            title: t.expires,
            render: ({ expires_at }) => (expires_at ? <Time at={expires_at} /> : t.never),
          },
          {
            title: "",
            render: ({ id }) =>
              mayWrite && (
                <Popconfirm
                  title={t.revoke}
                  description={t.revokeAbout}
                  onConfirm={() => revoke.mutateAsync(id)}
                >
                  <Button size="small" danger>
                    {t.revoke}
                  </Button>
                </Popconfirm>
              ),
          },
        ]}
        empty={<Empty title={t.empty}>{button}</Empty>}
      />
      {making && (
        <FormDialog<Values>
          title={t.newKey}
          submit={t.newKey}
          initial={{ days: 90, scopes: [] }}
          onSubmit={async (values) => setSecret((await make.mutateAsync(values)).key)}
          onClose={() => setMaking(false)}
        >
          <Form.Item name="name" label={t.name} rules={[{ required: true }]}>
            <Input autoFocus maxLength={100} />
          </Form.Item>
          <Form.Item name="scopes" label={t.scopes} rules={[{ required: true }]}>
            <Select
              mode="multiple"
              options={permissions.map((value) => ({ value, label: value }))}
            />
          </Form.Item>
          <Form.Item name="days" label={t.expires}>
            <Select
              options={[
                ...lifetimes.map((value) => ({ value, label: t.days(value) })),
                { value: 0, label: t.never },
              ]}
            />
          </Form.Item>
        </FormDialog>
      )}
      {secret && (
        <Modal open closable={false} keyboard={false} footer={null} title={t.made}>
          <SecretOnce secret={secret} onSaved={() => setSecret(undefined)} />
        </Modal>
      )}
    </ScreenFrame>
  );
}
