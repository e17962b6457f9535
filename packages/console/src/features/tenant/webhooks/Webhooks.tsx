import { Link, useParams } from "@tanstack/react-router";
import { Button, Form, Input, Modal, Select } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { Pill, ScreenFrame, SecretOnce, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";
import { Webhook } from "./Webhook.tsx";

interface Values {
  readonly url: string;
  readonly events: string[];
}

export default function Webhooks() {
  const { id } = useParams({ strict: false }) as { readonly id?: string };
  return id === undefined ? <WebhookList /> : <Webhook id={id} />;
}

function WebhookList() {
  const t = useText(texts);
  const may = useMay();
  const { tenant } = useApiContext();
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState<string>();
  const hooks = useGet(["/webhooks"], (api, signal) => api.get("/webhooks", { signal }));
  const events = useGet(
    ["/webhooks", "events"],
    (api, signal) => api.get("/webhooks/events", { signal }),
    { when: making },
  );
  const make = useAct((api, body: Values) => api.post("/webhooks", { body }), {
    changes: ["/webhooks"],
  });
  if (hooks.error) return <Problem error={hooks.error} onRetry={() => void hooks.refetch()} />;
  if (!hooks.data) return <Skeleton />;
  const button = may("webhooks:write") && (
    <Button type="primary" data-new onClick={() => setMaking(true)}>
      {t.newHook}
    </Button>
  );
  return (
    <ScreenFrame title={t.title} about={t.about} actions={button}>
      {hooks.data.items.length === 0 && (
        <Empty title={t.empty} about={t.emptyAbout}>
          {button}
        </Empty>
      )}
      <ul className="cards">
        {hooks.data.items.map((hook) => (
          <li key={hook.id}>
            <div className="inline">
              <Link to={`/t/${tenant}/webhooks/${hook.id}`} className="mono">
                {hook.url}
              </Link>
              {hook.enabled ? (
                <Pill kind={hook.failing_since ? "warn" : "good"}>
                  {hook.failing_since ? t.failing : t.on}
                </Pill>
              ) : (
                <Pill kind="bad">{hook.disabled_reason ?? t.off}</Pill>
              )}
              {hook.failing_since && <Time at={hook.failing_since} />}
            </div>
            <span className="quiet">{hook.events.join(", ")}</span>
          </li>
        ))}
      </ul>
      {making && (
        <FormDialog<Values>
          title={t.newHook}
          submit={t.newHook}
          onSubmit={async (values) => setSecret((await make.mutateAsync(values)).secret)}
          onClose={() => setMaking(false)}
        >
          <Form.Item name="url" label={t.url} rules={[{ required: true }]}>
            <Input type="url" autoFocus placeholder="https://example.com/hooks" />
          </Form.Item>
          <Form.Item name="events" label={t.events} rules={[{ required: true }]}>
            <Select
              mode="multiple"
              loading={events.isPending}
              options={(events.data?.items ?? []).map(({ name }) => ({ value: name, label: name }))}
            />
          </Form.Item>
        </FormDialog>
      )}
      {secret && (
        <Modal open closable={false} keyboard={false} footer={null} title={t.secret}>
          <SecretOnce secret={secret} onSaved={() => setSecret(undefined)} />
        </Modal>
      )}
    </ScreenFrame>
  );
}
