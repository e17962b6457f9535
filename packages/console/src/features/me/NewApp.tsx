import type { Schemas } from "@insulae/client";
import { Form, Input } from "antd";
import { renderSVG } from "uqr";
import { useText } from "../../lib/i18n.ts";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { texts } from "./texts.ts";
import "./me.css";

interface Props {
  readonly begun: Schemas["BegunTotp"];
  readonly onSubmit: (body: Schemas["NewFactor"]) => Promise<unknown>;
  readonly onClose: () => void;
}

interface Values {
  readonly code: string;
  readonly name?: string;
}

export default function NewApp({ begun, onSubmit, onClose }: Props) {
  const t = useText(texts);
  return (
    <FormDialog<Values>
      title={t.addApp}
      submit={t.addApp}
      onSubmit={({ code, name }) =>
        onSubmit({ totp: { token: begun.token, code: code.trim() }, ...(name && { name }) })
      }
      onClose={onClose}
    >
      <p>{t.appAbout}</p>
      <img
        className="qr"
        alt=""
        src={`data:image/svg+xml,${encodeURIComponent(renderSVG(begun.uri))}`}
      />
      <p className="quiet">
        {t.appKey} <code>{begun.secret}</code>
      </p>
      <Form.Item
        name="code"
        label={t.appCode}
        rules={[{ required: true }, { pattern: /^\s*\d{6}\s*$/ }]}
      >
        <Input autoFocus inputMode="numeric" autoComplete="one-time-code" />
      </Form.Item>
      <Form.Item name="name" label={t.name}>
        <Input maxLength={100} />
      </Form.Item>
    </FormDialog>
  );
}
