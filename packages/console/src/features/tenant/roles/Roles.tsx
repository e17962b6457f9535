import { Button, Checkbox, Form, Input, Popconfirm } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { Pill, ScreenFrame } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about: "What each role may do. The five roles of the system are fixed; your own add to them.",
    description: "Description",
    fixed: "fixed",
    may: "Permission",
    name: "Name",
    newRole: "New role",
    remove: "Delete",
    removeAbout: "Whoever has it loses what it gave, within a second.",
    title: "Roles",
    what: (role: string) => `What may ${role}?`,
  },
  de: {
    about: "Was jede Rolle darf. Die fünf Rollen des Systems stehen fest; eigene kommen hinzu.",
    description: "Beschreibung",
    fixed: "fest",
    may: "Berechtigung",
    name: "Name",
    newRole: "Neue Rolle",
    remove: "Löschen",
    removeAbout: "Wer sie hat, verliert innerhalb einer Sekunde, was sie gab.",
    title: "Rollen",
    what: (role: string) => `Was darf ${role}?`,
  },
});
const changes = { changes: ["/roles"] };

export default function Roles() {
  const t = useText(texts);
  const may = useMay();
  const mayWrite = may("roles:write");
  const [making, setMaking] = useState(false);
  const roles = useGet(["/roles"], (api, signal) =>
    api.get("/roles", { params: { query: { limit: 100 } }, signal }),
  );
  const permissions = useGet(["/permissions"], (api, signal) =>
    api.get("/permissions", { signal }),
  );
  const make = useAct(
    (api, body: { readonly name: string; readonly description?: string }) =>
      api.post("/roles", { body }),
    changes,
  );
  const remove = useAct(
    (api, id: string) => api.delete("/roles/{id}", { params: { path: { id } } }),
    changes,
  );
  const change = useAct(
    (api, { id, permissions }: { readonly id: string; readonly permissions: string[] }) =>
      api.put("/roles/{id}", { params: { path: { id } }, body: { permissions } }),
    changes,
  );
  const error = roles.error ?? permissions.error;
  if (error) return <Problem error={error} onRetry={() => void roles.refetch()} />;
  if (!roles.data || !permissions.data) return <Skeleton />;
  const all = roles.data.items;
  const toggle = (role: (typeof all)[number], name: string) => {
    const has = role.permissions.includes(name);
    const next = has
      ? role.permissions.filter((each) => each !== name)
      : [...role.permissions, name];
    change.mutate({ id: role.id, permissions: next });
  };
  return (
    <ScreenFrame
      title={t.title}
      about={t.about}
      actions={
        mayWrite && (
          <Button type="primary" data-new onClick={() => setMaking(true)}>
            {t.newRole}
          </Button>
        )
      }
    >
      {change.error && <Problem error={change.error} />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className="panel matrix" tabIndex={0} aria-label={t.title}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t.may}</th>
              {all.map((role) => (
                <th key={role.id} scope="col" title={t.what(role.name)}>
                  {role.name}
                  {role.is_system_role ? (
                    <Pill>{t.fixed}</Pill>
                  ) : (
                    mayWrite && (
                      <Popconfirm
                        title={t.remove}
                        description={t.removeAbout}
                        onConfirm={() => remove.mutateAsync(role.id)}
                      >
                        <Button size="small" danger type="text">
                          {t.remove}
                        </Button>
                      </Popconfirm>
                    )
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {permissions.data.items.map(({ name, description }) => (
              <tr key={name}>
                <th scope="row">
                  <span className="mono">{name}</span>
                  <br />
                  <span className="quiet">{description}</span>
                </th>
                {all.map((role) => (
                  <td key={role.id}>
                    <Checkbox
                      aria-label={`${role.name}: ${name}`}
                      checked={role.permissions.includes(name)}
                      disabled={role.is_system_role || !mayWrite || change.isPending}
                      onChange={() => toggle(role, name)}
                    />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {making && (
        <FormDialog<{ readonly name: string; readonly description?: string }>
          title={t.newRole}
          submit={t.newRole}
          onSubmit={(values) => make.mutateAsync(values)}
          onClose={() => setMaking(false)}
        >
          <Form.Item name="name" label={t.name} rules={[{ required: true }]}>
            <Input autoFocus maxLength={100} />
          </Form.Item>
          <Form.Item name="description" label={t.description}>
            <Input maxLength={300} />
          </Form.Item>
        </FormDialog>
      )}
    </ScreenFrame>
  );
}
