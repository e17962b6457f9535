import { Tag } from "antd";
import { useText } from "../../../lib/i18n.ts";
import { texts } from "./texts.ts";

export function StatusTag({ status }: { readonly status: string }) {
  const t = useText(texts);
  if (status === "active") return <Tag color="success">● {t.active}</Tag>;
  if (status === "suspended") return <Tag color="warning">‖ {t.suspended}</Tag>;
  return <Tag color="error">✕ {t.deleted}</Tag>;
}

export function IsolationTag({
  isolation,
}: {
  readonly isolation: "pool" | "schema" | "database";
}) {
  const t = useText(texts);
  const about = { pool: t.poolAbout, schema: t.schemaAbout, database: t.databaseAbout };
  return <Tag title={about[isolation]}>{t[isolation]}</Tag>;
}
