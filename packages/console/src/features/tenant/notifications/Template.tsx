import type { Schemas } from "@insulae/client";
import { Button, Drawer, Form, Popconfirm, Switch } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { useIsNarrow } from "../../../lib/use-media.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { EditForm } from "../../../ui/EditForm.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { texts as shared } from "../../../ui/texts.ts";
import { TextFields, VariablesField, variablesOf } from "./TemplateFields.tsx";
import { texts } from "./texts.ts";

type Shown = Omit<Schemas["NotificationTemplate"], "variables"> & { readonly variables: string };

interface Props {
  readonly id: string;
  readonly onClose: () => void;
}

export default function Template({ id, onClose }: Props) {
  const t = useText(texts);
  const narrow = useIsNarrow();
  const params = { path: { id } };
  const changes = { changes: ["/notifications/templates"] };
  const found = useGet(["/notifications/templates", id], (api, signal) =>
    api.get("/notifications/templates/{id}", { params, signal }),
  );
  const toggle = useAct(
    (api, seen: Schemas["NotificationTemplate"]) =>
      api.patch("/notifications/templates/{id}", {
        params,
        body: { is_active: !seen.is_active },
        ifMatch: seen,
      }),
    changes,
  );
  const remove = useAct(
    (api, _: undefined) => api.delete("/notifications/templates/{id}", { params }),
    { ...changes, removes: ["/notifications/templates", id] },
  );
  const failure = found.error ?? toggle.error ?? remove.error;
  return (
    <Drawer
      open
      title={found.data?.name ?? t.template}
      size={narrow ? "100%" : 720}
      onClose={onClose}
      extra={
        found.data && (
          <span className="inline">
            <Switch
              aria-label={t.active}
              checked={found.data.is_active}
              loading={toggle.isPending}
              onChange={() => found.data && toggle.mutate(found.data)}
            />
            <Popconfirm
              title={t.remove}
              onConfirm={() => remove.mutate(undefined, { onSuccess: onClose })}
            >
              <ActionButton danger operation="delete /notifications/templates/{id}">
                {t.remove}
              </ActionButton>
            </Popconfirm>
          </span>
        )
      }
    >
      {failure && <Problem error={failure} />}
      {found.isPending && <Skeleton />}
      {found.data && <Content key={found.data.updated_at} template={found.data} />}
    </Drawer>
  );
}

function Content({ template }: { readonly template: Schemas["NotificationTemplate"] }) {
  const s = useText(shared);
  const { client } = useApiContext();
  const [editing, setEditing] = useState(false);
  const params = { path: { id: template.id } };
  // The version belongs to what was read; the form has the variables as a text.
  const [seen, setSeen] = useState(template);
  const shownOf = (read: Schemas["NotificationTemplate"]): Shown => ({
    ...read,
    variables: JSON.stringify(read.variables, null, 2),
  });
  const save = useAct(
    (api, body: object) =>
      api.patch("/notifications/templates/{id}", { params, body, ifMatch: seen }),
    { changes: ["/notifications/templates"] },
  );
  if (!editing) {
    return (
      <>
        <Preview template={template} />
        <div className="actions spaced">
          <ActionButton
            operation="patch /notifications/templates/{id}"
            onClick={() => setEditing(true)}
          >
            {s.edit}
          </ActionButton>
        </div>
      </>
    );
  }
  return (
    <EditForm<Shown>
      item={shownOf(seen)}
      names={["subject", "body", "html", "variables"]}
      read={async () => {
        const read = await client.get("/notifications/templates/{id}", { params });
        setSeen(read);
        return shownOf(read);
      }}
      save={async (changes) => {
        const { variables, ...texts } = changes as { variables?: string };
        const given = variables === undefined ? {} : { variables: variablesOf(variables ?? "") };
        const body = { ...texts, ...given };
        if (Object.keys(body).length > 0) await save.mutateAsync(body);
      }}
      onDone={() => setEditing(false)}
    >
      <TextFields type={template.type} />
      <VariablesField />
      <Form.Item noStyle shouldUpdate>
        {({ getFieldsValue }) => <Preview template={template} typed={getFieldsValue} />}
      </Form.Item>
    </EditForm>
  );
}

interface PreviewProps {
  readonly template: Schemas["NotificationTemplate"];
  /** What is in the form, not saved yet. */
  readonly typed?: () => object;
}

function Preview({ template, typed }: PreviewProps) {
  const t = useText(texts);
  const { client } = useApiContext();
  const params = { path: { id: template.id } };
  const ask = (body: object) =>
    client.post("/notifications/templates/{id}/preview", { params, body });
  const saved = useGet(
    ["/notifications/templates", template.id, "preview", template.updated_at],
    () => ask({}),
    { when: typed === undefined },
  );
  const tried = useAct((_, texts: object) => ask(texts));
  const shown = typed ? tried.data : saved.data;
  const error = typed ? tried.error : saved.error;
  return (
    <section className="preview" aria-label={t.preview}>
      <h3>{t.preview}</h3>
      {typed ? (
        <Button loading={tried.isPending} onClick={() => tried.mutate(textsOf(typed()))}>
          {t.previewNow}
        </Button>
      ) : (
        <p className="quiet">{t.previewAbout}</p>
      )}
      {error && (
        <p role="alert" className="bad">
          {refusalOf(error).detail ?? refusalOf(error).title}
        </p>
      )}
      {shown && (
        <div className="panel">
          {shown.subject && <h4>{shown.subject}</h4>}
          <pre className="mail-text">{shown.text}</pre>
          {shown.html && (
            <details>
              <summary>{t.html}</summary>
              <pre className="mail-text">{shown.html}</pre>
            </details>
          )}
        </div>
      )}
    </section>
  );
}

/** The texts of a form that are filled in. */
const textsOf = (values: object): object =>
  Object.fromEntries(
    Object.entries(values).filter(([name, value]) => name !== "variables" && value),
  );
