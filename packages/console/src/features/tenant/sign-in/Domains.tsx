import { Form, Input, Popconfirm, Radio } from "antd";
import { useState } from "react";
import { useAct, useGet } from "../../../lib/api.ts";
import { useText } from "../../../lib/i18n.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { CopyButton } from "../../../ui/CopyButton.tsx";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { Pill } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";

interface Claim {
  readonly domain: string;
  readonly role: "user" | "viewer";
}

export function Domains() {
  const t = useText(texts);
  const [claiming, setClaiming] = useState(false);
  const changes = { changes: ["/email-domains"] };
  const domains = useGet(["/email-domains"], (api, signal) =>
    api.get("/email-domains", { signal }),
  );
  const claim = useAct((api, body: Claim) => api.post("/email-domains", { body }), changes);
  const verify = useAct(
    (api, domain: string) =>
      api.post("/email-domains/{domain}/verify", { params: { path: { domain } } }),
    changes,
  );
  const remove = useAct(
    (api, domain: string) =>
      api.delete("/email-domains/{domain}", { params: { path: { domain } } }),
    changes,
  );
  if (domains.error) {
    return <Problem error={domains.error} onRetry={() => void domains.refetch()} />;
  }
  if (!domains.data) return <Skeleton />;
  const button = (
    <ActionButton
      operation="post /email-domains"
      type="primary"
      data-new
      onClick={() => setClaiming(true)}
    >
      {t.claim}
    </ActionButton>
  );
  const { items } = domains.data;
  return (
    <>
      <div className="screen-head">
        <p className="quiet">{t.domainsAbout}</p>
        {items.length > 0 && <div className="actions">{button}</div>}
      </div>
      {remove.error && <Problem error={remove.error} />}
      {items.length === 0 && (
        <Empty title={t.noDomains} about={t.noDomainsAbout}>
          {button}
        </Empty>
      )}
      <ul className="cards">
        {items.map(({ domain, role, status, verification }) => (
          <li key={domain}>
            <div className="screen-head flush">
              <span className="inline">
                <strong>{domain}</strong>
                <Pill kind={status === "verified" ? "good" : "warn"}>{t[status]}</Pill>
                <span className="quiet">
                  {t.role}: {t[role]}
                </span>
              </span>
              <div className="actions">
                {status === "pending" && (
                  <ActionButton
                    operation="post /email-domains/{domain}/verify"
                    loading={verify.isPending && verify.variables === domain}
                    onClick={() => verify.mutate(domain)}
                  >
                    {t.check}
                  </ActionButton>
                )}
                <Popconfirm
                  title={t.remove}
                  description={t.removeAbout}
                  onConfirm={() => remove.mutateAsync(domain).catch(() => {})}
                >
                  <ActionButton danger operation="delete /email-domains/{domain}">
                    {t.remove}
                  </ActionButton>
                </Popconfirm>
              </div>
            </div>
            {status === "pending" && (
              <>
                <p>{t.publish}</p>
                <dl>
                  <dt>{t.recordName}</dt>
                  <dd className="mono">
                    {verification.name} {verification.type}{" "}
                    <CopyButton text={verification.name} name={t.recordName} />
                  </dd>
                  <dt>{t.recordValue}</dt>
                  <dd className="mono">
                    {verification.value}{" "}
                    <CopyButton text={verification.value} name={t.recordValue} />
                  </dd>
                </dl>
                {verify.error && verify.variables === domain && (
                  <p role="alert" className="bad">
                    {refusalOf(verify.error).detail ?? refusalOf(verify.error).title}
                  </p>
                )}
              </>
            )}
          </li>
        ))}
      </ul>
      {claiming && (
        <FormDialog<Claim>
          title={t.claim}
          submit={t.claim}
          initial={{ role: "viewer" }}
          onSubmit={(values) => claim.mutateAsync(values)}
          onClose={() => setClaiming(false)}
        >
          <Form.Item name="domain" label={t.domain} rules={[{ required: true }]}>
            <Input autoFocus placeholder="acme.example" autoComplete="off" />
          </Form.Item>
          <Form.Item name="role" label={t.role}>
            <Radio.Group
              options={(["viewer", "user"] as const).map((value) => ({ value, label: t[value] }))}
            />
          </Form.Item>
        </FormDialog>
      )}
    </>
  );
}
