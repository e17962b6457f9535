import { Button, Form, Input, Popconfirm, Select, Space } from "antd";
import { useAct } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { useFilters } from "../../../lib/search.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about:
      "People who were asked in and have not come yet. A link works until it expires, or is sent again.",
    email: "E-mail",
    empty: "Nobody is invited",
    expired: "expired",
    expires: "Works until",
    invite: "Invite",
    resend: "Send again",
    revoke: "Revoke",
    revokeAbout: "The link in the mail stops working.",
    role: "Role",
    sent: "Sent",
    state: "State",
    title: "Invitations",
    void: "void",
    waiting: "waiting",
  },
  de: {
    about:
      "Menschen, die eingeladen und noch nicht gekommen sind. Ein Link gilt, bis er abläuft oder noch einmal geschickt wird.",
    email: "E-Mail",
    empty: "Niemand ist eingeladen",
    expired: "abgelaufen",
    expires: "Gilt bis",
    invite: "Einladen",
    resend: "Noch einmal schicken",
    revoke: "Zurücknehmen",
    revokeAbout: "Der Link in der Mail gilt dann nicht mehr.",
    role: "Rolle",
    sent: "Geschickt",
    state: "Zustand",
    title: "Einladungen",
    void: "ungültig",
    waiting: "wartet",
  },
});

const roles = ["admin", "manager", "user", "viewer"] as const;
interface Values {
  readonly email: string;
  readonly role: (typeof roles)[number];
}
const changes = { changes: ["/invitations"] };

export default function Invitations() {
  const t = useText(texts);
  const [search, change] = useFilters();
  const invite = useAct((api, body: Values) => api.post("/invitations", { body }), changes);
  const resend = useAct(
    (api, id: string) => api.post("/invitations/{id}/resend", { params: { path: { id } } }),
    changes,
  );
  const revoke = useAct(
    (api, id: string) => api.delete("/invitations/{id}", { params: { path: { id } } }),
    changes,
  );
  const button = (
    <Button type="primary" data-new onClick={() => change({ new: "1" })}>
      {t.invite}
    </Button>
  );
  return (
    <ScreenFrame title={t.title} about={t.about} actions={button}>
      <ResourceList
        of="/invitations"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/invitations", { params: { query: { limit: 50, ...query } as object }, signal })
        }
        rowKey={(each) => each.id}
        columns={[
          { title: t.email, render: ({ email }) => email },
          {
            title: t.role,
            render: ({ role, roles }) => <Pill>{[role, ...roles].join(", ")}</Pill>,
          },
          {
            title: t.state,
            render: ({ state }) => (
              <Pill kind={state === "waiting" ? "neutral" : "warn"}>{t[state]}</Pill>
            ),
          },
          { title: t.sent, render: ({ created_at }) => <Time at={created_at} /> },
          { title: t.expires, render: ({ expires_at }) => <Time at={expires_at} /> },
          {
            title: "",
            render: ({ id }) => (
              <Space>
                <Button
                  size="small"
                  loading={resend.isPending && resend.variables === id}
                  onClick={() => resend.mutate(id)}
                >
                  {t.resend}
                </Button>
                <Popconfirm
                  title={t.revoke}
                  description={t.revokeAbout}
                  onConfirm={() => revoke.mutateAsync(id)}
                >
                  <Button size="small" danger>
                    {t.revoke}
                  </Button>
                </Popconfirm>
              </Space>
            ),
          },
        ]}
        empty={<Empty title={t.empty}>{button}</Empty>}
      />
      {search.new && (
        <FormDialog<Values>
          title={t.invite}
          submit={t.invite}
          initial={{ role: "user" }}
          onSubmit={(values) => invite.mutateAsync(values)}
          onClose={() => change({ new: undefined })}
        >
          <Form.Item name="email" label={t.email} rules={[{ required: true }]}>
            <Input type="email" autoFocus autoComplete="off" />
          </Form.Item>
          <Form.Item name="role" label={t.role}>
            <Select options={roles.map((value) => ({ value, label: value }))} />
          </Form.Item>
        </FormDialog>
      )}
    </ScreenFrame>
  );
}
