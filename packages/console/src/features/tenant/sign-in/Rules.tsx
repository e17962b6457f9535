import { ApiError, type Schemas } from "@insulae/client";
import { App, Form, Radio } from "antd";
import { useAct, useGet } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { useMe } from "../../../lib/me.ts";
import { refusalOf } from "../../../lib/problem.ts";
import type { signInSettings } from "../../../lib/sign-in-settings.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Problem } from "../../../ui/states.tsx";
import { texts as shared } from "../../../ui/texts.ts";
import { texts } from "./texts.ts";

/** A choice that isn't made: the setting is absent. */
const unset = "";

type Choice = readonly [value: string, label: string, about: string];
type Values = Readonly<Record<string, string>>;
type Rules = Readonly<
  Record<(typeof signInSettings)[number], { title: string; choices: readonly Choice[] }>
>;

export function Rules() {
  const t = useText(texts);
  const s = useText(shared);
  const { message } = App.useApp();
  const { tenant } = useMe();
  const params = { path: { id: tenant?.id ?? "" } };
  const found = useGet(["/tenants", params.path.id], (api, signal) =>
    api.get("/tenants/{id}", { params, signal }),
  );
  const save = useAct(
    (api, { seen, values }: { readonly seen: Schemas["Tenant"]; readonly values: Values }) => {
      // The settings are saved as a whole, the others as they were read: only so is a choice undone.
      const given = Object.entries({ ...seen.settings, ...values });
      const settings = Object.fromEntries(given.filter(([, value]) => value !== unset));
      return api.put("/tenants/{id}", { params, body: { settings } as never, ifMatch: seen });
    },
    { changes: ["/tenants"] },
  );
  if (found.error) return <Problem error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return <Skeleton />;
  const seen = found.data;
  const byDefault: Choice = [unset, t.none, t.noneAbout];
  const settings: Rules = {
    password_login: {
      title: t.password,
      choices: [
        ["on", t.on, t.onAbout],
        ["off", t.off, t.offAbout],
      ],
    },
    second_factor: {
      title: t.secondFactor,
      choices: [
        ["optional", t.factorOptional, t.factorOptionalAbout],
        ["required", t.factorRequired, t.factorRequiredAbout],
      ],
    },
    registration: {
      title: t.registration,
      choices: [byDefault, ["closed", t.closed, t.closedAbout], ["open", t.open, t.openAbout]],
    },
    email_verification: {
      title: t.verification,
      choices: [
        byDefault,
        ["required", t.verificationRequired, t.verificationRequiredAbout],
        ["optional", t.verificationOptional, t.verificationOptionalAbout],
      ],
    },
  };
  const initial = Object.fromEntries(
    Object.entries(settings).map(([name, { choices }]) => [
      name,
      seen.settings[name] ?? choices[0]?.[0],
    ]),
  );
  const submit = async (values: Values) => {
    try {
      await save.mutateAsync({ seen, values });
      void message.success(s.saved, 6);
    } catch (error) {
      const { title, detail } = refusalOf(error);
      void message.error(detail ?? title, 0);
      // Somebody else has changed it: what is shown is theirs, to be looked at.
      if (error instanceof ApiError && error.code === "precondition_failed") void found.refetch();
    }
  };
  return (
    <Form<Values>
      key={seen.updated_at}
      className="panel rules"
      layout="vertical"
      requiredMark={false}
      initialValues={initial}
      onFinish={(values) => void submit(values)}
    >
      {Object.entries(settings).map(([name, { title, choices }]) => (
        <Form.Item key={name} name={name} label={title}>
          <Radio.Group
            className="choices"
            aria-label={title}
            options={choices.map(([value, label, about]) => ({
              value,
              label: (
                <>
                  <strong>{label}</strong> <span className="quiet">{about}</span>
                </>
              ),
            }))}
          />
        </Form.Item>
      ))}
      <ActionButton
        operation="put /tenants/{id}"
        type="primary"
        htmlType="submit"
        loading={save.isPending}
      >
        {s.save}
      </ActionButton>
    </Form>
  );
}
