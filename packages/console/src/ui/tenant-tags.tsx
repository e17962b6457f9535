import { defineTexts, useText } from "../lib/i18n.ts";
import { Pill } from "./parts.tsx";

const texts = defineTexts({
  en: {
    active: "Active",
    database: "Database",
    databaseAbout: "a database of its own",
    deleted: "Deleted",
    pool: "Pool",
    poolAbout: "rows among other tenants', kept apart by Row-Level Security",
    schema: "Schema",
    schemaAbout: "a schema of its own in the shared database",
    suspended: "Suspended",
  },
  de: {
    active: "Aktiv",
    database: "Datenbank",
    databaseAbout: "eine eigene Datenbank",
    deleted: "Gelöscht",
    pool: "Pool",
    poolAbout: "Zeilen zwischen denen anderer, getrennt durch Row-Level Security",
    schema: "Schema",
    schemaAbout: "ein eigenes Schema in der gemeinsamen Datenbank",
    suspended: "Ausgesetzt",
  },
});

export function StatusTag({ status }: { readonly status: string }) {
  const t = useText(texts);
  if (status === "active") return <Pill kind="good">{t.active}</Pill>;
  if (status === "suspended") return <Pill kind="warn">{t.suspended}</Pill>;
  return <Pill kind="bad">{t.deleted}</Pill>;
}

export function IsolationTag({
  isolation,
}: {
  readonly isolation: "pool" | "schema" | "database";
}) {
  const t = useText(texts);
  const about = { pool: t.poolAbout, schema: t.schemaAbout, database: t.databaseAbout };
  return <Pill title={about[isolation]}>{t[isolation]}</Pill>;
}
