import type { Schemas } from "@insulae/client";
import { Button, Modal } from "antd";
import { useState } from "react";
import { anyClient } from "../../../lib/any-client.ts";
import { useAct } from "../../../lib/api.ts";
import type { Resource } from "../../../lib/document.ts";
import { useText } from "../../../lib/i18n.ts";
import { Problem } from "../../../ui/states.tsx";
import { texts as shared } from "../../../ui/texts.ts";
import { useFocusBack } from "../../../ui/use-focus-back.ts";
import { texts } from "./texts.ts";

type Report = Schemas["ImportReport"];

interface Props {
  readonly resource: Resource;
  readonly onClose: () => void;
}

/** A file is tried first: what is wrong stands there by line, before anything is changed. */
export function Import({ resource, onClose }: Props) {
  const t = useText(texts);
  useFocusBack();
  const s = useText(shared);
  const [file, setFile] = useState<File>();
  const send = useAct(
    async (api, dry: boolean) =>
      (await anyClient(api).post(`${resource.path}/import`, {
        params: { query: { dry_run: dry } },
        body: new Blob([await (file as File).arrayBuffer()], { type: "text/csv" }),
      })) as Report,
    { changes: [resource.path] },
  );
  const report = send.data;
  const isDry = send.variables === true;
  return (
    <Modal open title={t.import} footer={null} onCancel={onClose}>
      <p className="quiet">{t.importAbout}</p>
      <p>
        <input
          type="file"
          accept=".csv,text/csv"
          aria-label={t.import}
          onChange={({ target }) => {
            setFile(target.files?.[0]);
            send.reset();
          }}
        />
      </p>
      {send.error && <Problem error={send.error} />}
      {report && (
        <div role="status">
          <p>
            {isDry
              ? t.importResult(report.rows - report.refused_rows, report.refused_rows)
              : t.importDone(report.imported)}
          </p>
          <ul>
            {report.refused.slice(0, 50).map(({ line, field, reason }) => (
              <li key={`${line} ${field} ${reason}`} className="bad">
                {line}: {field} {reason}
              </li>
            ))}
          </ul>
        </div>
      )}
      <div className="filters">
        <Button disabled={!file} loading={send.isPending} onClick={() => send.mutate(true)}>
          {t.importDry}
        </Button>
        <Button
          type="primary"
          disabled={!file || !report || !isDry || report.refused_rows > 0}
          onClick={() => send.mutate(false)}
        >
          {t.importReal}
        </Button>
        <Button onClick={onClose}>{s.close}</Button>
      </div>
    </Modal>
  );
}
