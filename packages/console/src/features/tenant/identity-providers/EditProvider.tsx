import type { Schemas } from "@insulae/client";
import { Form, Input, Select, Switch } from "antd";
import { useAct } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { EditForm } from "../../../ui/EditForm.tsx";
import { texts } from "./texts.ts";

type Provider = Schemas["IdentityProvider"];

const roles = ["viewer", "user", "manager", "admin"] as const;
const names = [
  ...["name", "issuer", "client_id", "client_secret", "allowed_domains", "create_users"],
  ...["default_role", "trust_email", "trust_second_factor", "update_roles"],
];

interface Props {
  readonly provider: Provider;
  readonly onDone: () => void;
}

export default function EditProvider({ provider, onDone }: Props) {
  const t = useText(texts);
  const { client } = useApiContext();
  const params = { path: { id: provider.id } };
  const save = useAct(
    (api, { body, seen }: { readonly body: object; readonly seen: Provider }) =>
      api.patch("/identity-providers/{id}", { params, body, ifMatch: seen }),
    { changes: ["/identity-providers"] },
  );
  const yesOrNo = (name: string, label: string, about?: string) => (
    <Form.Item name={name} label={label} extra={about} valuePropName="checked">
      <Switch />
    </Form.Item>
  );
  return (
    <EditForm<Provider>
      item={provider}
      names={names}
      read={() => client.get("/identity-providers/{id}", { params })}
      save={async (changes, seen) => {
        // An empty secret is none: the one that is there stays.
        const body = Object.fromEntries(
          Object.entries(changes).filter(([name, value]) => name !== "client_secret" || value),
        );
        if (Object.keys(body).length > 0) await save.mutateAsync({ body, seen });
      }}
      onDone={onDone}
    >
      <Form.Item name="name" label={t.name} extra={t.nameAbout} rules={[{ required: true }]}>
        <Input maxLength={100} />
      </Form.Item>
      <Form.Item name="issuer" label={t.issuer} extra={t.issuerAbout} rules={[{ required: true }]}>
        <Input type="url" />
      </Form.Item>
      <Form.Item name="client_id" label={t.clientId} rules={[{ required: true }]}>
        <Input autoComplete="off" />
      </Form.Item>
      <Form.Item name="client_secret" label={t.clientSecret} extra={t.clientSecretKept}>
        <Input type="password" autoComplete="off" />
      </Form.Item>
      <Form.Item name="allowed_domains" label={t.allowedDomains} extra={t.allowedDomainsAbout}>
        <Select mode="tags" tokenSeparators={[",", " "]} />
      </Form.Item>
      {yesOrNo("create_users", t.createUsers)}
      <Form.Item name="default_role" label={t.defaultRole}>
        <Select options={roles.map((value) => ({ value, label: t[value] }))} />
      </Form.Item>
      {yesOrNo("update_roles", t.updateRoles)}
      {yesOrNo("trust_email", t.trustEmail, t.trustEmailAbout)}
      {yesOrNo("trust_second_factor", t.trustFactor)}
    </EditForm>
  );
}
