import { ApiError } from "@insulae/client";
import { Button, Descriptions, Drawer, Form, Popconfirm, Space } from "antd";
import { useState } from "react";
import { anyClient } from "../../../lib/any-client.ts";
import { useAct, useGet } from "../../../lib/api.ts";
import { type ApiDocument, bodyOf, type Resource, type Schema } from "../../../lib/document.ts";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { useIsNarrow } from "../../../lib/use-media.ts";
import { showRefusal } from "../../../ui/FormDialog.tsx";
import { Json } from "../../../ui/parts.tsx";
import { labelOf, SchemaFields } from "../../../ui/SchemaForm.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { texts as shared } from "../../../ui/texts.ts";
import { ValueText } from "../../../ui/ValueText.tsx";
import { Conflict } from "./Conflict.tsx";
import type { Item } from "./item.ts";
import { texts } from "./texts.ts";

interface Props {
  readonly document: ApiDocument;
  readonly resource: Resource;
  readonly id: string;
  readonly onClose: () => void;
}

export function Detail({ document, resource, id, onClose }: Props) {
  const t = useText(shared);
  const may = useMay();
  const narrow = useIsNarrow();
  const [editing, setEditing] = useState(false);
  const { path, update, remove } = resource;
  const found = useGet(
    [path, id],
    (api, signal) =>
      anyClient(api).get(`${path}/{id}`, { params: { path: { id } }, signal }) as Promise<Item>,
  );
  const erase = useAct(
    (api, _: undefined) => anyClient(api).delete(`${path}/{id}`, { params: { path: { id } } }),
    {
      changes: [path],
    },
  );
  const mayUpdate = update && may(update["x-permission"] ?? "");
  const mayRemove = remove && may(remove["x-permission"] ?? "");
  const item = found.data;
  return (
    <Drawer
      open
      title={item ? String(item.name ?? item.title ?? item.number ?? id) : "…"}
      size={narrow ? "100%" : 560}
      onClose={onClose}
      extra={
        item &&
        !editing && (
          <Space>
            {mayUpdate && <Button onClick={() => setEditing(true)}>{t.edit}</Button>}
            {mayRemove && <Remove onRemove={() => erase.mutateAsync(undefined).then(onClose)} />}
          </Space>
        )
      }
    >
      {found.error && <Problem error={found.error} onRetry={() => void found.refetch()} />}
      {found.isPending && <Skeleton />}
      {erase.error && <Problem error={erase.error} />}
      {item && !editing && <Fields item={item} />}
      {item && editing && (
        <Edit
          key={String(item.updated_at)}
          document={document}
          resource={resource}
          item={item}
          onDone={() => setEditing(false)}
        />
      )}
    </Drawer>
  );
}

function Remove({ onRemove }: { readonly onRemove: () => Promise<unknown> }) {
  const t = useText(texts);
  const s = useText(shared);
  return (
    <Popconfirm
      title={t.deleteOne}
      okText={s.delete}
      cancelText={s.cancel}
      okButtonProps={{ danger: true }}
      onConfirm={onRemove}
    >
      <Button danger>{s.delete}</Button>
    </Popconfirm>
  );
}

function Fields({ item }: { readonly item: Item }) {
  const t = useText(texts);
  return (
    <>
      <Descriptions
        column={1}
        items={Object.entries(item).map(([name, value]) => ({
          key: name,
          label: labelOf(name),
          children: <ValueText value={value} />,
        }))}
      />
      <details>
        <summary className="quiet">{t.asJson}</summary>
        <Json value={item} />
      </details>
    </>
  );
}

interface EditProps {
  readonly document: ApiDocument;
  readonly resource: Resource;
  readonly item: Item;
  readonly onDone: () => void;
}

function Edit({ document, resource, item, onDone }: EditProps) {
  const t = useText(shared);
  const [form] = Form.useForm<Record<string, unknown>>();
  const [wrong, setWrong] = useState<string>();
  const [base, setBase] = useState(item);
  const [theirs, setTheirs] = useState<Item>();
  const schema = bodyOf(document, resource.update);
  const { path } = resource;
  const params = { path: { id: item.id } };
  const read = useAct(
    (api, _: undefined) => anyClient(api).get(`${path}/{id}`, { params }) as Promise<Item>,
  );
  const save = useAct(
    (api, { body, seen }: { readonly body: object; readonly seen: Item }) =>
      anyClient(api).patch(`${path}/{id}`, { params, body, ifMatch: seen }),
    { changes: [path] },
  );
  const submit = async (values: Record<string, unknown>) => {
    setWrong(undefined);
    try {
      await save.mutateAsync({ body: changesOf(schema, base, values), seen: base });
      onDone();
    } catch (error) {
      if (error instanceof ApiError && error.code === "precondition_failed") {
        setTheirs(await read.mutateAsync(undefined));
      } else {
        setWrong(showRefusal(form, error));
      }
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
          names={Object.keys(schema.properties ?? {})}
          base={base}
          mine={form.getFieldsValue(true)}
          theirs={theirs}
          onChosen={(values) => {
            form.setFieldsValue(values);
            setBase(theirs);
            setTheirs(undefined);
          }}
        />
      )}
      <SchemaFields document={document} schema={schema} />
      <p role="alert" className={wrong ? "bad" : "sr-only"}>
        {wrong}
      </p>
      <Space>
        <Button
          type="primary"
          htmlType="submit"
          loading={save.isPending}
          disabled={theirs !== undefined}
        >
          {t.save}
        </Button>
        <Button onClick={onDone}>{t.cancel}</Button>
      </Space>
    </Form>
  );
}

/** Only what differs is sent; what was emptied is sent as null. */
function changesOf(schema: Schema, before: Item, after: Readonly<Record<string, unknown>>): object {
  const names = Object.keys(schema.properties ?? {});
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
