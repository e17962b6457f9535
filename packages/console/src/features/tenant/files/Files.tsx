import { Button, Popconfirm, Progress } from "antd";
import { useRef, useState } from "react";
import { anyClient } from "../../../lib/any-client.ts";
import { useAct } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { defineTexts, useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { refusalOf } from "../../../lib/problem.ts";
import { saveAs } from "../../../lib/save-as.ts";
import { Bytes, Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";

const texts = defineTexts({
  en: {
    about: "Files of this tenant, in a folder of the server or in an S3.",
    download: "Download",
    empty: "No files yet",
    failed: (name: string, why: string) => `${name} was not uploaded: ${why}`,
    kind: "Kind",
    name: "Name",
    pending: "not uploaded yet",
    remove: "Delete",
    removeAbout: "It is gone for good.",
    search: "Name",
    size: "Size",
    title: "Files",
    upload: "Upload",
    uploaded: "Uploaded",
    uploading: (done: number, all: number) => `${done} of ${all} files`,
  },
  de: {
    about: "Dateien dieses Mandanten, in einem Ordner des Servers oder in einem S3.",
    download: "Herunterladen",
    empty: "Noch keine Dateien",
    failed: (name: string, why: string) => `${name} wurde nicht hochgeladen: ${why}`,
    kind: "Art",
    name: "Name",
    pending: "noch nicht hochgeladen",
    remove: "Löschen",
    removeAbout: "Sie ist dann endgültig weg.",
    search: "Name",
    size: "Größe",
    title: "Dateien",
    upload: "Hochladen",
    uploaded: "Hochgeladen",
    uploading: (done: number, all: number) => `${done} von ${all} Dateien`,
  },
});
const changes = { changes: ["/files"] };

export default function Files() {
  const t = useText(texts);
  const may = useMay();
  const { client } = useApiContext();
  const field = useRef<HTMLInputElement>(null);
  const [progress, setProgress] = useState<{ readonly done: number; readonly all: number }>();
  const [wrong, setWrong] = useState<readonly string[]>([]);
  const upload = useAct((api, file: File) => api.upload(file), changes);
  const remove = useAct(
    (api, id: string) => api.delete("/files/{id}", { params: { path: { id } } }),
    changes,
  );

  const uploadAll = async (files: readonly File[]) => {
    setWrong([]);
    for (const [done, file] of files.entries()) {
      setProgress({ done, all: files.length });
      try {
        await upload.mutateAsync(file);
      } catch (error) {
        const { title, detail } = refusalOf(error);
        setWrong((was) => [...was, t.failed(file.name, detail ?? title)]);
      }
    }
    setProgress(undefined);
  };
  const download = async (id: string, name: string) => {
    const options = { params: { path: { id } }, parseAs: "blob" } as const;
    saveAs((await anyClient(client).get("/files/{id}/download", options)) as Blob, name);
  };
  const mayWrite = may("files:write");
  const button = mayWrite && (
    <Button type="primary" data-new onClick={() => field.current?.click()}>
      {t.upload}
    </Button>
  );
  return (
    <ScreenFrame title={t.title} about={t.about} actions={button}>
      <input
        ref={field}
        type="file"
        multiple
        hidden
        onChange={({ target }) => {
          void uploadAll([...(target.files ?? [])]);
        }}
      />
      {progress && (
        <Progress
          percent={Math.round((progress.done / progress.all) * 100)}
          format={() => t.uploading(progress.done, progress.all)}
        />
      )}
      <ul role="alert" className="bad">
        {wrong.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <ResourceList
        of="/files"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/files", { params: { query: { limit: 50, ...query } as object }, signal })
        }
        rowKey={(file) => file.id}
        filters={[{ name: "q", label: t.search }]}
        columns={[
          { title: t.name, render: ({ file_name }) => <span className="cut">{file_name}</span> },
          { title: t.kind, render: ({ mime_type }) => <span className="mono">{mime_type}</span> },
          { title: t.size, align: "right", render: ({ file_size }) => <Bytes value={file_size} /> },
          {
            title: t.uploaded,
            render: ({ status, created_at }) =>
              status === "ready" ? <Time at={created_at} /> : <Pill kind="warn">{t.pending}</Pill>,
          },
          {
            title: "",
            render: ({ id, status, file_name }) => (
              <>
                <Button
                  size="small"
                  disabled={status !== "ready"}
                  onClick={() => void download(id, file_name)}
                >
                  {t.download}
                </Button>{" "}
                {mayWrite && (
                  <Popconfirm
                    title={t.remove}
                    description={t.removeAbout}
                    onConfirm={() => remove.mutateAsync(id)}
                  >
                    <Button size="small" danger>
                      {t.remove}
                    </Button>
                  </Popconfirm>
                )}
              </>
            ),
          },
        ]}
        empty={<Empty title={t.empty}>{button}</Empty>}
      />
    </ScreenFrame>
  );
}
