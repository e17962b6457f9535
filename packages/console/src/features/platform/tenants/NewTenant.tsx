import { useNavigate } from "@tanstack/react-router";
import { Form, Input, Radio } from "antd";
import { useAct } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { texts } from "./texts.ts";

interface NewTenantValues {
  readonly key: string;
  readonly name: string;
  readonly isolation: "pool" | "schema" | "database";
  readonly plan?: string;
}

export default function NewTenant({ onClose }: { readonly onClose: () => void }) {
  const t = useText(texts);
  const navigate = useNavigate();
  const create = useAct((api, body: NewTenantValues) => api.post("/tenants", { body }), {
    changes: ["/tenants"],
  });
  const submit = async (values: NewTenantValues) => {
    const { key } = await create.mutateAsync(values);
    void navigate({ to: `/p/tenants/${key}` });
  };
  return (
    <FormDialog<NewTenantValues>
      title={t.newTenant}
      submit={t.newTenant}
      initial={{ isolation: "pool" }}
      onSubmit={submit}
      onClose={onClose}
    >
      <Form.Item name="name" label={t.name} rules={[{ required: true }]}>
        <Input autoFocus maxLength={200} placeholder="Acme Corp" />
      </Form.Item>
      <Form.Item
        name="key"
        label={t.key}
        extra={t.keyAbout}
        rules={[{ required: true }, { pattern: /^[a-z0-9][a-z0-9_-]{0,62}$/, message: t.keyWrong }]}
      >
        <Input placeholder="acme" autoComplete="off" />
      </Form.Item>
      <Form.Item name="isolation" label={t.isolation}>
        <Radio.Group
          className="choices"
          options={(["pool", "schema", "database"] as const).map((value) => ({
            value,
            label: `${t[value]}: ${t[`${value}About`]}`,
          }))}
        />
      </Form.Item>
      <Form.Item name="plan" label={t.plan}>
        <Input placeholder="free" />
      </Form.Item>
    </FormDialog>
  );
}
