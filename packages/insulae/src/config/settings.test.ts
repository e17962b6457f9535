import { expect, test } from "vitest";
import { loadConfig, settingNames } from "./config.ts";
import { settingsOf } from "./settings.ts";

const planted = "planted-and-32-characters-long-too";

/** Values that contain a secret, by the variable's name. */
const secrets: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  DATABASE_URL: { DATABASE_URL: `postgres://admin:${planted}@db/insulae` },
  MASTER_DATABASE_URL: { MASTER_DATABASE_URL: `postgres://admin:${planted}@db/insulae` },
  DB_PASSWORD: { DB_HOST: "db", DB_USER: "admin", DB_PASSWORD: planted },
  DATABASE_DIRECT_URL: {
    DATABASE_URL: "postgres://db/insulae",
    DATABASE_DIRECT_URL: `postgres://admin:${planted}@db/insulae`,
  },
  REDIS_URL: { REDIS_URL: `redis://:${planted}@cache` },
  SMTP_URL: { SMTP_URL: `smtp://user:${planted}@mail` },
  SMTP_PASSWORD: { SMTP_HOST: "mail", SMTP_USER: "user", SMTP_PASSWORD: planted },
  MASTER_SECRET: { MASTER_SECRET: planted },
  JWT_SECRET: { JWT_SECRET: planted },
  SECRET_KEY: { SECRET_KEY: planted },
  ADMIN_PASSWORD: { ADMIN_PASSWORD: planted },
  METRICS_TOKEN: { METRICS_TOKEN: planted },
  OTEL_EXPORTER_OTLP_HEADERS: {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318",
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=${planted}`,
  },
  AWS_SECRET_ACCESS_KEY: { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: planted },
};
/** They sound like secrets. */
const harmless = new Set([
  "ACCESS_TOKEN_EXPIRE_MINUTES",
  "APP_URL",
  "AWS_ACCESS_KEY_ID",
  "AWS_ENDPOINT_URL",
  "AWS_SECRET_ID",
  "CDN_BASE_URL",
  "CORS_CREDENTIALS",
  "PASSWORD_ALGORITHM",
  "PUBLIC_URL",
  "RATE_LIMIT_CREDENTIALS",
  "REFRESH_TOKEN_EXPIRATION_DAYS",
]);

test("each variable that sounds like a secret is known to be one, or not", () => {
  const sounding = settingNames.filter((name) =>
    /SECRET|PASSWORD|TOKEN|CREDENTIAL|HEADERS|_KEY$|_KEY_ID$|_URL$/.test(name),
  );
  expect(sounding.filter((name) => !secrets[name] && !harmless.has(name))).toEqual([]);
});

test.each(Object.entries(secrets))("%s is not in the settings that handlers see", (_, env) => {
  const config = loadConfig(env);
  expect(JSON.stringify(config)).toContain(planted);
  expect(JSON.stringify(settingsOf(config))).not.toContain(planted);
});
