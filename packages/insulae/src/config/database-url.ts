/** The variables that can replace `DATABASE_URL`. */
export const databaseParts = ["DB_HOST", "DB_PORT", "DB_USERNAME", "DB_PASSWORD", "DB_NAME"];

/** Builds `DATABASE_URL` from `DB_HOST`, `DB_PORT`, `DB_USERNAME`, `DB_PASSWORD` and `DB_NAME`. */
export function withDatabaseParts(
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Readonly<Record<string, string | undefined>> {
  const given = databaseParts.filter((name) => env[name]?.trim());
  if (given.length === 0) return env;
  const url = env.DATABASE_URL || env.MASTER_DATABASE_URL;
  if (url) {
    const differing = given.filter((name) => env[name]?.trim() !== partOf(url, name));
    if (differing.length > 0) {
      problems.push(`${differing.join(" and ")} differ from DATABASE_URL; set only one of them`);
    }
    return env;
  }
  if (!env.DB_HOST) {
    problems.push(`${given.join(" and ")} need DB_HOST, or a DATABASE_URL instead`);
    return env;
  }
  const user = encodeURIComponent(env.DB_USERNAME ?? "postgres");
  const password = encodeURIComponent(env.DB_PASSWORD ?? "");
  return {
    ...env,
    DATABASE_URL: `postgresql://${user}:${password}@${env.DB_HOST}:${env.DB_PORT ?? "5432"}/${env.DB_NAME ?? "insulae"}`,
  };
}

/** The value of one part in the URL; undefined if the text is not a URL. */
function partOf(text: string, name: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const parts: Readonly<Record<string, string>> = {
    DB_HOST: url.hostname,
    DB_PORT: url.port || "5432",
    DB_USERNAME: decodeURIComponent(url.username),
    DB_PASSWORD: decodeURIComponent(url.password),
    DB_NAME: decodeURIComponent(url.pathname.slice(1)),
  };
  return parts[name];
}
