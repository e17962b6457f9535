import { useNavigate } from "@tanstack/react-router";
import { Form, Input, InputNumber, Radio } from "antd";
import { useAct } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { texts } from "./texts.ts";

interface NewMoveValues {
  readonly tenant: string;
  readonly isolation: "pool" | "schema" | "database";
  readonly server?: string;
  readonly keep_hours?: number;
}

interface Props {
  readonly tenant: string | undefined;
  readonly onClose: () => void;
}

export default function NewMove({ tenant, onClose }: Props) {
  const t = useText(texts);
  const navigate = useNavigate();
  const start = useAct((api, body: NewMoveValues) => api.post("/platform/moves", { body }), {
    changes: ["/platform/moves"],
  });
  const submit = async ({ server, ...values }: NewMoveValues) => {
    const { id } = await start.mutateAsync({ ...values, ...(server && { server }) });
    void navigate({ to: `/p/moves/${id}` });
  };
  return (
    <FormDialog<NewMoveValues>
      title={t.moveTenant}
      submit={t.move}
      initial={{ isolation: "schema", keep_hours: 24, ...(tenant && { tenant }) }}
      onSubmit={submit}
      onClose={onClose}
    >
      <Form.Item name="tenant" label={t.tenant} extra={t.tenantAbout} rules={[{ required: true }]}>
        <Input autoFocus={!tenant} maxLength={63} autoComplete="off" />
      </Form.Item>
      <Form.Item name="isolation" label={t.isolation}>
        <Radio.Group
          className="choices"
          options={(["pool", "schema", "database"] as const).map((value) => ({
            value,
            label: t[value],
          }))}
        />
      </Form.Item>
      <Form.Item name="server" label={t.server} extra={t.serverAbout}>
        <Input maxLength={63} autoComplete="off" placeholder="main" />
      </Form.Item>
      <Form.Item name="keep_hours" label={t.keepHours}>
        <InputNumber min={0} max={720} precision={0} />
      </Form.Item>
    </FormDialog>
  );
}
