import { Form, Input } from "antd";
import { useText } from "../lib/i18n.ts";
import { FormDialog } from "./FormDialog.tsx";
import { texts } from "./texts.ts";

interface Props {
  readonly title: string;
  /** What ends, and when. */
  readonly about: string;
  /** What has to be typed. */
  readonly word: string;
  readonly onConfirm: () => Promise<unknown>;
  readonly onClose: () => void;
}

/** For what can't be undone by one click. */
export function ConfirmByKey({ title, about, word, onConfirm, onClose }: Props) {
  const t = useText(texts);
  return (
    <FormDialog title={title} submit={title} danger onSubmit={onConfirm} onClose={onClose}>
      <p>{about}</p>
      <Form.Item
        name="typed"
        label={t.typeKey(word)}
        rules={[
          {
            validator: (_, typed) =>
              typed === word ? Promise.resolve() : Promise.reject(new Error(t.typeKey(word))),
          },
        ]}
        validateTrigger="onSubmit"
      >
        <Input autoFocus autoComplete="off" />
      </Form.Item>
    </FormDialog>
  );
}
