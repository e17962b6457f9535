import { Button, Form, Input } from "antd";
import { useState } from "react";
import { useAct } from "../../lib/api.ts";
import { useText } from "../../lib/i18n.ts";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { Factors } from "./Factors.tsx";
import { texts } from "./texts.ts";

interface Change {
  readonly current_password: string;
  readonly new_password: string;
}

export function Security() {
  const t = useText(texts);
  const [changing, setChanging] = useState(false);
  const change = useAct((api, body: Change) => api.post("/auth/password-change", { body }), {
    changes: ["/auth/sessions"],
  });
  return (
    <>
      <div className="panel">
        <h2>{t.password}</h2>
        <p className="quiet">{t.passwordAbout}</p>
        <div className="actions spaced">
          <Button onClick={() => setChanging(true)}>{t.changePassword}</Button>
        </div>
        {change.isSuccess && (
          <p role="status" className="good">
            {t.changed}
          </p>
        )}
      </div>
      <Factors />
      {changing && (
        <FormDialog<Change>
          title={t.changePassword}
          submit={t.changePassword}
          onSubmit={(values) => change.mutateAsync(values)}
          onClose={() => setChanging(false)}
        >
          <Form.Item name="current_password" label={t.currentPassword} rules={[{ required: true }]}>
            <Input.Password autoFocus autoComplete="current-password" visibilityToggle={false} />
          </Form.Item>
          <Form.Item
            name="new_password"
            label={t.newPassword}
            extra={t.newPasswordAbout}
            rules={[{ required: true }, { min: 8 }, { max: 128 }]}
          >
            <Input.Password autoComplete="new-password" />
          </Form.Item>
        </FormDialog>
      )}
    </>
  );
}
