import type { Schemas } from "@insulae/client";
import { Button, Form, Input, Modal, Popconfirm } from "antd";
import { lazy, Suspense, useState } from "react";
import { hasPasskeys, makePasskey } from "../../auth/passkey.ts";
import { useAct, useGet } from "../../lib/api.ts";
import { useText } from "../../lib/i18n.ts";
import { refusalOf } from "../../lib/problem.ts";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { Pill, SecretOnce, Time } from "../../ui/parts.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../ui/states.tsx";
import { texts as shared } from "../../ui/texts.ts";
import { texts } from "./texts.ts";

// The QR code's library comes with it.
const NewApp = lazy(() => import("./NewApp.tsx"));

type Factor = Schemas["Factor"];
const changes = { changes: ["/auth/factors", "/auth/sessions"] };

export function Factors() {
  const t = useText(texts);
  const s = useText(shared);
  const [begun, setBegun] = useState<Schemas["BegunTotp"]>();
  const [renaming, setRenaming] = useState<Factor>();
  const [codes, setCodes] = useState<readonly string[]>();
  const factors = useGet(["/auth/factors"], (api, signal) => api.get("/auth/factors", { signal }));
  const begin = useAct((api, _: undefined) => api.post("/auth/factors/totp"));
  const add = useAct(
    (api, body: Schemas["NewFactor"]) => api.post("/auth/factors", { body }),
    changes,
  );
  const beginPasskey = useAct((api, _: undefined) => api.post("/auth/factors/passkey"));
  const rename = useAct(
    (api, { id, name }: { readonly id: string; readonly name: string }) =>
      api.patch("/auth/factors/{id}", { params: { path: { id } }, body: { name } }),
    changes,
  );
  const remove = useAct(
    (api, id: string) => api.delete("/auth/factors/{id}", { params: { path: { id } } }),
    changes,
  );
  const renew = useAct((api, _: undefined) => api.post("/auth/factors/recovery-codes"), changes);
  const [wrong, setWrong] = useState<string>();

  const attempt = async (work: () => Promise<unknown>) => {
    setWrong(undefined);
    try {
      await work();
    } catch (error) {
      const { title, detail } = refusalOf(error);
      setWrong(detail ?? title);
    }
  };
  const added = ({ recovery_codes }: Schemas["AddedFactor"]) => setCodes(recovery_codes);
  const addPasskey = () =>
    attempt(async () => {
      const passkey = await makePasskey(await beginPasskey.mutateAsync(undefined));
      added(await add.mutateAsync({ passkey } as Schemas["NewFactor"]));
    });

  if (factors.error) {
    return <Problem error={factors.error} onRetry={() => void factors.refetch()} />;
  }
  if (!factors.data) return <Skeleton />;
  const { items, recovery_codes_left } = factors.data;
  return (
    <div className="panel">
      <h2>{t.factors}</h2>
      <p className="quiet">{t.factorsAbout}</p>
      <div className="actions spaced">
        <Button
          loading={begin.isPending}
          onClick={() => void attempt(async () => setBegun(await begin.mutateAsync(undefined)))}
        >
          {t.addApp}
        </Button>
        {hasPasskeys() ? (
          <Button
            loading={beginPasskey.isPending || add.isPending}
            onClick={() => void addPasskey()}
          >
            {t.addPasskey}
          </Button>
        ) : (
          <span className="quiet">{t.noPasskeys}</span>
        )}
      </div>
      {wrong && (
        <p role="alert" className="bad">
          {wrong}
        </p>
      )}
      {items.length === 0 && <Empty title={t.noFactors} />}
      <ul className="cards">
        {items.map((factor) => (
          <li key={factor.id}>
            <div className="screen-head flush">
              <span className="inline">
                <strong>{factor.name}</strong>
                <Pill>{factor.kind === "totp" ? t.kindTotp : t.kindPasskey}</Pill>
              </span>
              <div className="actions">
                <Button onClick={() => setRenaming(factor)}>{t.rename}</Button>
                <Popconfirm
                  title={t.remove}
                  description={t.removeAbout}
                  onConfirm={() => void attempt(() => remove.mutateAsync(factor.id))}
                >
                  <Button danger>{t.remove}</Button>
                </Popconfirm>
              </div>
            </div>
            <span className="quiet">
              {t.created} <Time at={factor.created_at} /> · {t.lastUsed}{" "}
              {factor.last_used_at ? <Time at={factor.last_used_at} /> : t.never}
            </span>
          </li>
        ))}
      </ul>
      {items.length > 0 && (
        <>
          <h3 className="section">{t.recovery}</h3>
          <p className={recovery_codes_left < 3 ? "warn" : "quiet"}>
            {t.codesLeft(recovery_codes_left)}
          </p>
          <div className="actions spaced">
            <Popconfirm
              title={t.newCodes}
              description={t.newCodesAbout}
              onConfirm={() =>
                void attempt(async () =>
                  setCodes((await renew.mutateAsync(undefined)).recovery_codes),
                )
              }
            >
              <Button loading={renew.isPending}>{t.newCodes}</Button>
            </Popconfirm>
          </div>
        </>
      )}
      {begun && (
        <Suspense>
          <NewApp
            begun={begun}
            onSubmit={async (body) => added(await add.mutateAsync(body))}
            onClose={() => setBegun(undefined)}
          />
        </Suspense>
      )}
      {renaming && (
        <FormDialog<{ readonly name: string }>
          title={t.rename}
          submit={s.save}
          initial={{ name: renaming.name }}
          onSubmit={({ name }) => rename.mutateAsync({ id: renaming.id, name })}
          onClose={() => setRenaming(undefined)}
        >
          <Form.Item name="name" label={t.name} rules={[{ required: true }]}>
            <Input autoFocus maxLength={100} />
          </Form.Item>
        </FormDialog>
      )}
      {codes && (
        <Modal open closable={false} keyboard={false} footer={null} title={t.recovery}>
          <p>{t.codesAbout}</p>
          <SecretOnce secret={codes.join("\n")} onSaved={() => setCodes(undefined)} />
        </Modal>
      )}
    </div>
  );
}
