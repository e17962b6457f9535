import { useNavigate } from "@tanstack/react-router";
import { Button, Modal, Popconfirm, Switch } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { Json, Pill, ScreenFrame, SecretOnce, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";

const states = ["waiting", "delivered", "failed"] as const;
const kinds = { waiting: "neutral", delivered: "good", failed: "bad" } as const;

export function Webhook({ id }: { readonly id: string }) {
  const t = useText(texts);
  const may = useMay();
  const mayWrite = may("webhooks:write");
  const navigate = useNavigate();
  const { tenant } = useApiContext();
  const [secret, setSecret] = useState<string>();
  const [shown, setShown] = useState<string>();
  const params = { path: { id } };
  const changes = { changes: ["/webhooks", "/deliveries"] };
  const hook = useGet(["/webhooks", id], (api, signal) =>
    api.get("/webhooks/{id}", { params, signal }),
  );
  const change = useAct((api, enabled: boolean) => {
    if (!hook.data) throw new Error("it is not there yet");
    return api.patch("/webhooks/{id}", { params, body: { enabled }, ifMatch: hook.data });
  }, changes);
  const test = useAct((api, _: undefined) => api.post("/webhooks/{id}/test", { params }), changes);
  const rotate = useAct(
    (api, _: undefined) => api.post("/webhooks/{id}/rotate-secret", { params }),
    changes,
  );
  const remove = useAct((api, _: undefined) => api.delete("/webhooks/{id}", { params }), {
    changes: ["/webhooks"],
    removes: ["/webhooks", id],
  });
  const again = useAct(
    (api, delivery: string) =>
      api.post("/webhooks/{id}/deliveries/{delivery}/redeliver", {
        params: { path: { id, delivery } },
      }),
    changes,
  );
  if (hook.error) return <Problem error={hook.error} onRetry={() => void hook.refetch()} />;
  if (!hook.data) return <Skeleton />;
  const failure = change.error ?? test.error ?? rotate.error ?? again.error;
  return (
    <ScreenFrame
      title={<span className="mono">{hook.data.url}</span>}
      about={hook.data.events.join(", ")}
      actions={
        mayWrite && (
          <>
            <Switch
              aria-label={t.on}
              checked={hook.data.enabled}
              loading={change.isPending}
              onChange={(enabled) => change.mutate(enabled)}
              style={{ alignSelf: "center" }}
            />
            <Button loading={test.isPending} onClick={() => test.mutate(undefined)}>
              {t.test}
            </Button>
            <Popconfirm
              title={t.rotate}
              description={t.rotateAbout}
              onConfirm={async () => setSecret((await rotate.mutateAsync(undefined)).secret)}
            >
              <Button>{t.rotate}</Button>
            </Popconfirm>
            <Popconfirm
              title={t.remove}
              onConfirm={async () => {
                await remove.mutateAsync(undefined);
                void navigate({ to: `/t/${tenant}/webhooks` });
              }}
            >
              <Button danger>{t.remove}</Button>
            </Popconfirm>
          </>
        )
      }
    >
      {failure && <Problem error={failure} />}
      <ResourceList
        of="/deliveries"
        label={t.deliveries}
        read={(api, query, signal) =>
          api.get("/webhooks/{id}/deliveries", {
            params: { ...params, query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={(delivery) => delivery.id}
        filters={[
          {
            name: "state",
            label: t.state,
            options: states.map((value) => ({ value, label: t[value] })),
          },
        ]}
        columns={[
          {
            title: t.event,
            render: ({ id: delivery, event }) => (
              <button type="button" className="link mono" onClick={() => setShown(delivery)}>
                {event}
              </button>
            ),
          },
          { title: t.state, render: ({ state }) => <Pill kind={kinds[state]}>{t[state]}</Pill> },
          { title: t.answer, render: (each) => each.response_status ?? each.reason ?? "–" },
          { title: t.attempts, align: "right", render: ({ attempts }) => attempts },
          { title: t.at, render: ({ created_at }) => <Time at={created_at} /> },
          {
            title: "",
            render: ({ id: delivery }) =>
              mayWrite && (
                <Button size="small" onClick={() => again.mutate(delivery)}>
                  {t.redeliver}
                </Button>
              ),
          },
        ]}
        empty={<Empty title={t.noDeliveries} about={t.noDeliveriesAbout} />}
      />
      {shown && <Delivery hook={id} delivery={shown} onClose={() => setShown(undefined)} />}
      {secret && (
        <Modal open closable={false} keyboard={false} footer={null} title={t.secret}>
          <SecretOnce secret={secret} onSaved={() => setSecret(undefined)} />
        </Modal>
      )}
    </ScreenFrame>
  );
}

interface DeliveryProps {
  readonly hook: string;
  readonly delivery: string;
  readonly onClose: () => void;
}

function Delivery({ hook, delivery, onClose }: DeliveryProps) {
  const t = useText(texts);
  const found = useGet(["/deliveries", delivery], (api, signal) =>
    api.get("/webhooks/{id}/deliveries/{delivery}", {
      params: { path: { id: hook, delivery } },
      signal,
    }),
  );
  return (
    <Modal open footer={null} title={found.data?.event ?? "…"} onCancel={onClose} width={720}>
      {found.error && <Problem error={found.error} />}
      {found.isPending && <Skeleton />}
      {found.data && (
        <>
          <p>
            {t.answer}: {found.data.response_status ?? found.data.reason ?? "–"}
          </p>
          {found.data.response_excerpt && <pre className="mono">{found.data.response_excerpt}</pre>}
          <Json value={parsed(found.data.payload)} />
        </>
      )}
    </Modal>
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
