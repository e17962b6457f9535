import { useNavigate } from "@tanstack/react-router";
import { Button, Form, type FormInstance, Input, Space, Steps } from "antd";
import { useState } from "react";
import { useAct } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { showRefusal } from "../../../ui/FormDialog.tsx";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { texts } from "./texts.ts";

interface Values {
  readonly name: string;
  readonly issuer: string;
  readonly client_id: string;
  readonly client_secret: string;
}

const firstStep = ["name", "issuer"] as const;

/** The first two steps: what the redirect URIs are is known when the provider is there. */
export function NewProvider() {
  const t = useText(texts);
  const { tenant } = useApiContext();
  const navigate = useNavigate();
  const [form] = Form.useForm<Values>();
  const [step, setStep] = useState(0);
  const [wrong, setWrong] = useState<string>();
  const make = useAct(
    (api, body: Values) => api.post("/identity-providers", { body: { ...body, enabled: false } }),
    { changes: ["/identity-providers"] },
  );
  const next = async () => {
    await form.validateFields([...firstStep]);
    setStep(1);
  };
  const submit = async (values: Values) => {
    setWrong(undefined);
    try {
      const { id } = await make.mutateAsync(values);
      void navigate({
        to: `/t/${tenant}/identity-providers/${id}`,
        search: { step: "redirects" } as never,
        replace: true,
      });
    } catch (error) {
      setWrong(showRefusal(form as FormInstance, error));
      const first = form.getFieldsError([...firstStep]);
      if (first.some(({ errors }) => errors.length > 0)) setStep(0);
    }
  };
  const hidden = (at: number) => (step === at ? {} : { hidden: true });
  return (
    <ScreenFrame title={t.add} about={t.about}>
      <ProviderSteps at={step} />
      <Form<Values>
        form={form}
        className="panel narrow-form"
        layout="vertical"
        requiredMark={false}
        onFinish={(values) => void (step === 0 ? next() : submit(values))}
      >
        <Form.Item
          name="name"
          label={t.name}
          extra={t.nameAbout}
          rules={[{ required: true }]}
          {...hidden(0)}
        >
          <Input autoFocus maxLength={100} placeholder="Acme SSO" />
        </Form.Item>
        <Form.Item
          name="issuer"
          label={t.issuer}
          extra={t.issuerAbout}
          rules={[{ required: true }, { pattern: /^https?:\/\/./, message: t.issuerWrong }]}
          {...hidden(0)}
        >
          <Input type="url" placeholder="https://accounts.google.com" autoComplete="off" />
        </Form.Item>
        <Form.Item
          name="client_id"
          label={t.clientId}
          rules={step === 1 ? [{ required: true }] : []}
          {...hidden(1)}
        >
          <Input autoComplete="off" />
        </Form.Item>
        <Form.Item
          name="client_secret"
          label={t.clientSecret}
          extra={t.clientSecretAbout}
          rules={step === 1 ? [{ required: true }] : []}
          {...hidden(1)}
        >
          <Input type="password" autoComplete="off" />
        </Form.Item>
        <p role="alert" className={wrong ? "bad" : "sr-only"}>
          {wrong}
        </p>
        <Space>
          {step === 1 && <Button onClick={() => setStep(0)}>{t.previous}</Button>}
          <ActionButton
            operation="post /identity-providers"
            type="primary"
            htmlType="submit"
            loading={make.isPending}
          >
            {t.next}
          </ActionButton>
        </Space>
      </Form>
    </ScreenFrame>
  );
}

export function ProviderSteps({ at }: { readonly at: number }) {
  const t = useText(texts);
  return (
    <div className="wizard">
      <Steps
        size="small"
        responsive
        current={at}
        items={[t.stepProvider, t.stepClient, t.stepRedirects, t.stepEnable].map((title) => ({
          title,
        }))}
      />
    </div>
  );
}
