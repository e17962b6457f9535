import { Form, Input, Select } from "antd";
import { useText } from "../../../lib/i18n.ts";
import { texts } from "./texts.ts";

export const channels = ["email", "sms", "push"] as const;

/** What a template says. @param type a text message has no subject, and only an e-mail has HTML */
export function TextFields({ type }: { readonly type: (typeof channels)[number] }) {
  const t = useText(texts);
  return (
    <>
      {type !== "sms" && (
        <Form.Item name="subject" label={t.subject} rules={[{ required: true }]}>
          <Input maxLength={255} />
        </Form.Item>
      )}
      <Form.Item name="body" label={t.body} extra={t.bodyAbout} rules={[{ required: true }]}>
        <Input.TextArea rows={6} className="mono" maxLength={20_000} />
      </Form.Item>
      {type === "email" && (
        <Form.Item name="html" label={t.html} extra={t.htmlAbout}>
          <Input.TextArea rows={3} className="mono" maxLength={50_000} />
        </Form.Item>
      )}
    </>
  );
}

export function VariablesField() {
  const t = useText(texts);
  return (
    <Form.Item
      name="variables"
      label={t.variables}
      extra={t.variablesAbout}
      rules={[
        {
          validator: (_, text) =>
            variablesOf(text) === undefined
              ? Promise.reject(new Error(t.variablesWrong))
              : Promise.resolve(),
        },
      ]}
    >
      <Input.TextArea rows={3} className="mono" />
    </Form.Item>
  );
}

export function NameAndKind() {
  const t = useText(texts);
  return (
    <>
      <Form.Item
        name="name"
        label={t.name}
        extra={t.nameAbout}
        rules={[{ required: true }, { pattern: /^[a-z][a-z0-9_]{0,99}$/, message: t.nameWrong }]}
      >
        <Input placeholder="order_shipped" autoComplete="off" />
      </Form.Item>
      <Form.Item name="type" label={t.kind}>
        <Select options={channels.map((value) => ({ value, label: t[value] }))} />
      </Form.Item>
    </>
  );
}

/** The variables that a text declares; undefined: it is no JSON object. */
export function variablesOf(text: string | undefined): object | undefined {
  if (!text?.trim()) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
