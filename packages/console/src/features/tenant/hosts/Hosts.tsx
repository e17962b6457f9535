import { Button, Form, Input, Popconfirm } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { useMe } from "../../../lib/me.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { CopyButton } from "../../../ui/CopyButton.tsx";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about:
      "Addresses at which this tenant is served. Whoever comes there is in this tenant and nowhere else.",
    active: "active",
    add: "Add a host",
    certificate: "Certificate until",
    check: "Check now",
    empty: "No host of its own yet",
    emptyAbout: "People reach the tenant at the platform's address meanwhile.",
    hostname: "Host",
    pending: "waits for its DNS record",
    proof: "Publish this DNS record, then check:",
    remove: "Remove",
    removeAbout: "People who come there are refused within a second.",
    title: "Hosts",
  },
  de: {
    about:
      "Adressen, unter denen dieser Mandant erreichbar ist. Wer dorthin kommt, ist in diesem Mandanten und nirgends sonst.",
    active: "aktiv",
    add: "Host hinzufügen",
    certificate: "Zertifikat bis",
    check: "Jetzt prüfen",
    empty: "Noch kein eigener Host",
    emptyAbout: "Der Mandant ist bis dahin unter der Adresse der Plattform erreichbar.",
    hostname: "Host",
    pending: "wartet auf seinen DNS-Eintrag",
    proof: "Veröffentlichen Sie diesen DNS-Eintrag, und prüfen Sie dann:",
    remove: "Entfernen",
    removeAbout: "Wer dorthin kommt, wird innerhalb einer Sekunde abgewiesen.",
    title: "Hosts",
  },
});

/** While a host waits for its DNS record, which somebody may just be publishing. */
const pollMs = 10_000;

export default function Hosts() {
  const t = useText(texts);
  const { tenant } = useMe();
  const id = tenant?.id ?? "";
  const [adding, setAdding] = useState(false);
  const [waiting, setWaiting] = useState(false);
  const hosts = useGet(
    ["/hosts"],
    async (api, signal) => {
      const answer = await api.get("/tenants/{id}/hosts", { params: { path: { id } }, signal });
      setWaiting(answer.items.some(({ status }) => status === "pending"));
      return answer;
    },
    { everyMs: waiting ? pollMs : false },
  );
  const changes = { changes: ["/hosts"] };
  const add = useAct(
    (api, body: { readonly hostname: string }) =>
      api.post("/tenants/{id}/hosts", { params: { path: { id } }, body }),
    changes,
  );
  const verify = useAct(
    (api, hostname: string) =>
      api.post("/tenants/{id}/hosts/{hostname}/verify", { params: { path: { id, hostname } } }),
    changes,
  );
  const remove = useAct(
    (api, hostname: string) =>
      api.delete("/tenants/{id}/hosts/{hostname}", { params: { path: { id, hostname } } }),
    changes,
  );
  const button = (
    <Button type="primary" data-new onClick={() => setAdding(true)}>
      {t.add}
    </Button>
  );
  if (hosts.error) return <Problem error={hosts.error} onRetry={() => void hosts.refetch()} />;
  if (!hosts.data) return <Skeleton />;
  return (
    <ScreenFrame title={t.title} about={t.about} actions={button}>
      {hosts.data.items.length === 0 && (
        <Empty title={t.empty} about={t.emptyAbout}>
          {button}
        </Empty>
      )}
      <ul className="cards">
        {hosts.data.items.map(({ hostname, status, verification, certificate }) => (
          <li key={hostname}>
            <div className="screen-head flush">
              <span className="inline">
                <strong>{hostname}</strong>
                <Pill kind={status === "active" ? "good" : "warn"}>{t[status]}</Pill>
                {certificate && (
                  <span className="quiet">
                    {t.certificate} <Time at={certificate.expires_at} />
                  </span>
                )}
              </span>
              <div className="actions">
                {status === "pending" && (
                  <Button loading={verify.isPending} onClick={() => verify.mutate(hostname)}>
                    {t.check}
                  </Button>
                )}
                <Popconfirm
                  title={t.remove}
                  description={t.removeAbout}
                  onConfirm={() => remove.mutateAsync(hostname)}
                >
                  <Button danger>{t.remove}</Button>
                </Popconfirm>
              </div>
            </div>
            {verification && (
              <>
                <p>{t.proof}</p>
                <p className="mono">
                  {verification.name} {verification.type} {verification.value}{" "}
                  <CopyButton text={verification.value} name={verification.name} />
                </p>
                {verify.error && verify.variables === hostname && (
                  <p role="alert" className="bad">
                    {refusalOf(verify.error).detail ?? refusalOf(verify.error).title}
                  </p>
                )}
              </>
            )}
          </li>
        ))}
      </ul>
      {adding && (
        <FormDialog<{ readonly hostname: string }>
          title={t.add}
          submit={t.add}
          onSubmit={(values) => add.mutateAsync(values)}
          onClose={() => setAdding(false)}
        >
          <Form.Item name="hostname" label={t.hostname} rules={[{ required: true }]}>
            <Input autoFocus placeholder="app.acme.example" autoComplete="off" />
          </Form.Item>
        </FormDialog>
      )}
    </ScreenFrame>
  );
}
