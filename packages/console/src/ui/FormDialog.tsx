/** A form in a dialog: what the server says of a field stands at the field. */
import { Form, type FormInstance, Modal } from "antd";
import { type ReactNode, useState } from "react";
import { useText } from "../lib/i18n.ts";
import { refusalOf } from "../lib/problem.ts";
import { texts } from "./texts.ts";
import { useFocusBack } from "./use-focus-back.ts";

interface Props<Values> {
  readonly title: string;
  readonly submit: string;
  readonly danger?: boolean;
  readonly initial?: Partial<Values>;
  /** @throws what the server refuses with */
  readonly onSubmit: (values: Values) => Promise<unknown>;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export function FormDialog<Values extends object>(props: Props<Values>) {
  const { title, submit, danger = false, initial, onSubmit, onClose, children } = props;
  const t = useText(texts);
  useFocusBack();
  const [form] = Form.useForm<Values>();
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const save = async (values: Values) => {
    setBusy(true);
    setWrong(undefined);
    try {
      await onSubmit(values);
      onClose();
    } catch (error) {
      setWrong(showRefusal(form as FormInstance, error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      open
      title={title}
      okText={submit}
      cancelText={t.cancel}
      okButtonProps={{ danger, loading: busy, htmlType: "submit", form: "dialog-form" }}
      onCancel={onClose}
      destroyOnHidden
    >
      <Form<Values>
        id="dialog-form"
        form={form}
        layout="vertical"
        requiredMark={false}
        {...(initial && { initialValues: initial })}
        onFinish={(values) => void save(values)}
      >
        {children}
        <p role="alert" className={wrong ? "bad" : "sr-only"}>
          {wrong}
        </p>
      </Form>
    </Modal>
  );
}

/** Puts what is said of fields to the fields. @returns the rest */
export function showRefusal(form: FormInstance, error: unknown): string {
  const { title, detail, fields, requestId } = refusalOf(error);
  const known = Object.entries(fields).filter(
    ([name]) => form.getFieldInstance(name.split("/")) || form.getFieldInstance(name),
  );
  form.setFields(known.map(([name, message]) => ({ name: name.split("/"), errors: [message] })));
  const [first] = known;
  if (first) form.scrollToField(first[0].split("/"), { focus: true });
  const others = Object.entries(fields)
    .filter(([name]) => !known.some(([each]) => each === name))
    .map(([name, message]) => `${name}: ${message}`);
  if (known.length > 0 && others.length === 0) return "";
  return [detail ?? title, ...others, requestId && `(${requestId})`].filter(Boolean).join(" ");
}
