import { Button, Descriptions, Drawer, Popconfirm, Space } from "antd";
import { useState } from "react";
import { anyClient } from "../../../lib/any-client.ts";
import { useAct, useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { type ApiDocument, bodyOf, type Resource } from "../../../lib/document.ts";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { useIsNarrow } from "../../../lib/use-media.ts";
import { EditForm } from "../../../ui/EditForm.tsx";
import { Json } from "../../../ui/parts.tsx";
import { labelOf, SchemaFields } from "../../../ui/SchemaForm.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { texts as shared } from "../../../ui/texts.ts";
import { ValueText } from "../../../ui/ValueText.tsx";
import type { Item } from "./item.ts";
import { texts } from "./texts.ts";

interface Props {
  readonly document: ApiDocument;
  readonly resource: Resource;
  readonly id: string;
  /** As the list has it: all there is where the API has no route for one. */
  readonly listed: Item | undefined;
  readonly onClose: () => void;
}

export function Detail({ document, resource, id, listed, onClose }: Props) {
  const t = useText(shared);
  const may = useMay();
  const narrow = useIsNarrow();
  const [editing, setEditing] = useState(false);
  const { path, read, update, remove } = resource;
  const found = useGet(
    [path, id],
    (api, signal) =>
      anyClient(api).get(`${path}/{id}`, { params: { path: { id } }, signal }) as Promise<Item>,
    { when: read !== undefined },
  );
  const erase = useAct(
    (api, _: undefined) => anyClient(api).delete(`${path}/{id}`, { params: { path: { id } } }),
    {
      changes: [path],
      removes: [path, id],
    },
  );
  const mayUpdate = update && may(update["x-permission"] ?? "");
  const mayRemove = remove && may(remove["x-permission"] ?? "");
  const item = read ? found.data : listed;
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
      {read && found.isPending && <Skeleton />}
      {!read && !listed && <Empty title={t.notFound} about={t.notFoundAbout} />}
      {erase.error && <Problem error={erase.error} />}
      {item && !editing && <Fields item={item} />}
      {item && editing && (
        <Edit
          key={id}
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
  const { path } = resource;
  const schema = bodyOf(document, resource.update);
  const params = { path: { id: item.id } };
  const { client } = useApiContext();
  const save = useAct(
    (api, { body, seen }: { readonly body: object; readonly seen: Item }) =>
      anyClient(api).patch(`${path}/{id}`, { params, body, ifMatch: seen }),
    { changes: [path] },
  );
  return (
    <EditForm<Item>
      item={item}
      names={Object.keys(schema.properties ?? {})}
      read={() => anyClient(client).get(`${path}/{id}`, { params }) as Promise<Item>}
      save={(body, seen) => save.mutateAsync({ body, seen })}
      onDone={onDone}
    >
      <SchemaFields document={document} schema={schema} />
    </EditForm>
  );
}
