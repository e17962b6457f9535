/** A form that changes what was read before: it loses nobody's changes, neither theirs nor others'. */
import { ApiError } from "@insulae/client";
import { Button, Form, type FormInstance, Space } from "antd";
import { type ReactNode, useState } from "react";
import { useText } from "../lib/i18n.ts";
import { Conflict, type Values } from "./Conflict.tsx";
import { showRefusal } from "./FormDialog.tsx";
import { texts } from "./texts.ts";

interface Props<Item extends object> {
  /** As the client has read it by its id: it knows its version. */
  readonly item: Item;
  /** The fields of the request's body. */
  readonly names: readonly string[];
  /** Reads it again. */
  readonly read: () => Promise<Item>;
  /** Saves with `ifMatch: seen`. @param changes only what differs; what was emptied is null */
  readonly save: (changes: object, seen: Item) => Promise<unknown>;
  readonly onDone: () => void;
  /** `Form.Item`s. */
  readonly children: ReactNode;
}

export function EditForm<Item extends object>(props: Props<Item>) {
  const { item, names, read, save, onDone, children } = props;
  const t = useText(texts);
  const [form] = Form.useForm<Record<string, unknown>>();
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();
  // What was read when the form was opened: a later refresh of the page doesn't touch what is typed.
  const [base, setBase] = useState(item);
  const [theirs, setTheirs] = useState<Item>();

  const submit = async (values: Values) => {
    setBusy(true);
    setWrong(undefined);
    try {
      await save(changesOf(names, base as Values, values), base);
      onDone();
    } catch (error) {
      if (error instanceof ApiError && error.code === "precondition_failed") {
        setTheirs(await read());
      } else {
        setWrong(showRefusal(form as FormInstance, error));
      }
    } finally {
      setBusy(false);
    }
  };
  return (
    <Form
      form={form}
      layout="vertical"
      requiredMark={false}
      initialValues={item}
      onFinish={(values) => void submit(values)}
    >
      {theirs && (
        <Conflict
          names={names}
          base={base as Values}
          mine={form.getFieldsValue(true)}
          theirs={theirs as Values}
          onChosen={(values) => {
            form.setFieldsValue(values);
            setBase(theirs);
            setTheirs(undefined);
          }}
        />
      )}
      {children}
      <p role="alert" className={wrong ? "bad" : "sr-only"}>
        {wrong}
      </p>
      <Space>
        <Button type="primary" htmlType="submit" loading={busy} disabled={theirs !== undefined}>
          {t.save}
        </Button>
        <Button onClick={onDone}>{t.cancel}</Button>
      </Space>
    </Form>
  );
}

function changesOf(names: readonly string[], before: Values, after: Values): object {
  const changed = names.filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  return Object.fromEntries(
    changed.map((name) => [
      name,
      after[name] === undefined || after[name] === "" ? null : after[name],
    ]),
  );
}
