import { App, Button, Form, Input } from "antd";
import { useAct, useGet } from "../../../lib/api.ts";
import { bodyOf, type Schema, useDocument } from "../../../lib/document.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { useMe } from "../../../lib/me.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { signInSettings } from "../../../lib/sign-in-settings.ts";
import { ScreenFrame } from "../../../ui/parts.tsx";
import { filledIn, SchemaFields } from "../../../ui/SchemaForm.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { texts as shared } from "../../../ui/texts.ts";

const texts = defineTexts({
  en: {
    about:
      "How this tenant works. The fields are those that the API declares, your application's included.",
    name: "Name",
    title: "Settings",
  },
  de: {
    about:
      "Wie dieser Mandant arbeitet. Die Felder sind die, die die API erklärt, auch die Ihrer Anwendung.",
    name: "Name",
    title: "Einstellungen",
  },
});

interface Values {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

export default function Settings() {
  const t = useText(texts);
  const s = useText(shared);
  const { message } = App.useApp();
  const { tenant } = useMe();
  const id = tenant?.id ?? "";
  const params = { path: { id } };
  const document = useDocument();
  const found = useGet(["/tenants", id], (api, signal) =>
    api.get("/tenants/{id}", { params, signal }),
  );
  const save = useAct(
    (api, { name, settings }: Values) => {
      if (!found.data) throw new Error("it is not there yet");
      const body = { name, settings: filledIn(settings) } as never;
      return api.patch("/tenants/{id}", { params, body, ifMatch: found.data });
    },
    { changes: ["/tenants", "me"] },
  );
  const error = found.error ?? document.error;
  if (error) return <Problem error={error} onRetry={() => void found.refetch()} />;
  if (!found.data || !document.data) return <Skeleton />;
  const body = bodyOf(document.data, document.data.paths["/api/v1/tenants/{id}"]?.patch);
  const settings = withoutSignIn(body.properties?.settings ?? {});
  const submit = async (values: Values) => {
    try {
      await save.mutateAsync(values);
      void message.success(s.saved, 6);
    } catch (refused) {
      const { title, detail, fields } = refusalOf(refused);
      const lines = Object.entries(fields).map(([name, text]) => `${name}: ${text}`);
      void message.error([detail ?? title, ...lines].join(" "), 0);
    }
  };
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <Form<Values>
        className="panel"
        layout="vertical"
        requiredMark={false}
        initialValues={found.data}
        onFinish={(values) => void submit(values)}
        style={{ maxWidth: 720 }}
      >
        <Form.Item name="name" label={t.name} rules={[{ required: true }]}>
          <Input maxLength={200} />
        </Form.Item>
        <SchemaFields document={document.data} schema={settings} path={["settings"]} />
        <Button type="primary" htmlType="submit" loading={save.isPending}>
          {s.save}
        </Button>
      </Form>
    </ScreenFrame>
  );
}

function withoutSignIn(settings: Schema): Schema {
  const own = new Set<string>(signInSettings);
  const others = Object.entries(settings.properties ?? {}).filter(([name]) => !own.has(name));
  return { ...settings, properties: Object.fromEntries(others) };
}
