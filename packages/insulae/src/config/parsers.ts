/**
 * Defines environment variables and the parsers of their values. A parser's error message completes
 * the sentence "PORT …".
 */
export interface Variable<T> {
  /** The variable's name, followed by its aliases. */
  readonly names: readonly [string, ...string[]];
  readonly parse: (text: string) => T;
  readonly meaning: string;
}

export const variable = <T>(
  names: readonly [string, ...string[]],
  parse: (text: string) => T,
  meaning: string,
): Variable<T> => ({ names, parse, meaning });

/** The parsed values of a table of variables. */
export type ValuesOf<Table extends Record<string, Variable<unknown>>> = {
  [Name in keyof Table]?: ReturnType<Table[Name]["parse"]>;
};

export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** `implicit`: from the first byte; `starttls`: required; `none`: unencrypted. */
  readonly tls: "implicit" | "starttls" | "none";
  readonly auth: { readonly user: string; readonly pass: string } | undefined;
}

export const text = (value: string): string => value;

export const oneOf =
  <const T extends string>(...choices: readonly T[]) =>
  (value: string): T => {
    const choice = choices.find((candidate) => candidate === value.toLowerCase());
    if (!choice) throw new Error(`must be one of ${choices.join(", ")}`);
    return choice;
  };

export const integer =
  (min: number, max: number, unit = 1) =>
  (value: string): number => {
    const number = /^\d+$/.test(value) ? Number(value) * unit : Number.NaN;
    if (!(number >= min && number <= max)) {
      throw new Error(`must be a whole number from ${min / unit} to ${max / unit}`);
    }
    return number;
  };

export const atLeast =
  (length: number) =>
  (value: string): string => {
    if (value.length < length) throw new Error(`must have at least ${length} characters`);
    return value;
  };

export const flag = (value: string): boolean => oneOf("true", "false")(value) === "true";

export const list = (value: string): readonly string[] =>
  value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");

/** The ARN of an Amazon SNS topic. */
export const topicArn = (value: string): string => {
  if (!/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}(\.fifo)?$/.test(value)) {
    throw new Error("must be the ARN of an SNS topic (arn:aws:sns:<region>:<account>:<name>)");
  }
  return value;
};

export const databaseUrl = (value: string): string => {
  if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(value)) {
    throw new Error("must be a URL such as postgresql://user:password@host:5432/database");
  }
  return value;
};

export const webUrl = (value: string): string => {
  if (!/^https?:\/\//.test(value) || !URL.canParse(value)) {
    throw new Error("must be a URL such as https://api.example.com");
  }
  return value.replace(/\/+$/, "");
};

/** An origin is scheme, host and port exactly; a path, wildcard or `null` is not valid. */
export const origins = (value: string): readonly string[] => {
  for (const origin of list(value)) {
    if (!/^https?:\/\/[^\s/?#@*]+\/?$/i.test(origin) || !URL.canParse(origin)) {
      throw new Error(`must be a list of origins such as https://app.example.com, not ${origin}`);
    }
  }
  return list(value);
};

const level = oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent");

/**
 * `info`, or a filter such as `info,http=warn,insulae::database=debug`. Modules of other programs
 * in it (`sea_orm=debug`) are ignored.
 *
 * @returns the canonical form, with the general level first
 */
export const logFilter = (value: string): string => {
  const parts = list(value);
  const general = parts.filter((part) => !part.includes("=")).map(level)[0] ?? "info";
  const modules = parts
    .filter((part) => part.includes("="))
    .map((part) => {
      const at = part.lastIndexOf("=");
      const name = part
        .slice(0, at)
        .trim()
        .replace(/^insulae::/, "");
      return `${name}=${level(part.slice(at + 1).trim())}`;
    });
  return [general, ...modules].join(",");
};

/** The levels in a filter by module; the general level under the empty string. */
export const levelsOf = (filter: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    list(filter).map((part) => (part.includes("=") ? part.split("=") : ["", part])),
  );

export const redisUrl = (value: string): string => {
  if (!/^rediss?:\/\//.test(value) || !URL.canParse(value)) {
    throw new Error("must be a URL such as redis://user:password@host:6379/0");
  }
  return value;
};

/** `name=value,name=value`, percent-encoded, as in OpenTelemetry. */
export const pairs = (value: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    list(value).map((item) => {
      const at = item.indexOf("=");
      if (at < 1) throw new Error("must be a list such as name=value,other=value");
      return [item.slice(0, at).trim(), decodeURIComponent(item.slice(at + 1).trim())];
    }),
  );

export const share = (value: string): number => {
  const number = Number(value);
  if (!(number >= 0 && number <= 1)) throw new Error("must be a number from 0 to 1");
  return number;
};

export const perMinute = integer(0, 1_000_000_000);

/** `free=60,gold=5000` */
export const plans = (value: string): Readonly<Record<string, number>> =>
  Object.fromEntries(
    list(value).map((item) => {
      const [, name = "", rate = ""] = /^([a-z0-9][a-z0-9_-]{0,49})=(\d+)$/.exec(item) ?? [];
      if (name === "") throw new Error("must be a list such as free=60,gold=5000");
      return [name, perMinute(rate)];
    }),
  );

/** `free=pool,gold=database` */
export const planIsolations =
  <Name extends string>(names: readonly Name[]) =>
  (value: string): Readonly<Record<string, Name>> =>
    Object.fromEntries(
      list(value).map((item) => {
        const [, plan = "", given] = /^([a-z0-9][a-z0-9_-]{0,49})=([a-z]+)$/.exec(item) ?? [];
        const name = names.find((one) => one === given);
        if (!name) {
          throw new Error(
            `must be a list such as free=pool,gold=database; the isolations are ${names.join(", ")}`,
          );
        }
        return [plan, name];
      }),
    );

/** A tenant's key; ids and numbers are not accepted. */
export const tenantKey = (value: string): string => {
  const key = value.toLowerCase();
  if (!/^(?!\d+$)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/.test(key)) {
    throw new Error("must be a tenant's key such as demo_tenant");
  }
  return key;
};

/** `free.users=20,gold.rows=5000` */
export const planQuotas =
  <Name extends string>(names: readonly Name[]) =>
  (value: string): Readonly<Record<string, { readonly [N in Name]?: number }>> => {
    const quotas: Record<string, { [N in Name]?: number }> = {};
    for (const item of list(value)) {
      const [, plan = "", quota = "", amount = ""] =
        /^([a-z0-9][a-z0-9_-]{0,49})\.([a-z_]+)=(\d{1,15})$/.exec(item) ?? [];
      const name = names.find((one) => one === quota);
      if (!name) {
        throw new Error(
          `must be a list such as free.users=20,gold.rows=5000; the quotas are ${names.join(", ")}`,
        );
      }
      quotas[plan] = { ...quotas[plan], [name]: Number(amount) };
    }
    return quotas;
  };

/** Parses an SMTP URL. A user name may contain `@` as %40. */
export const smtpUrl = (value: string): SmtpServer => {
  const url = /^smtps?:\/\//.test(value) && URL.canParse(value) ? new URL(value) : undefined;
  const implicit = url?.protocol === "smtps:";
  const tls = implicit ? "implicit" : (url?.searchParams.get("tls") ?? "starttls");
  if (!url?.hostname || (tls !== "implicit" && tls !== "starttls" && tls !== "none")) {
    throw new Error(
      "must be a URL such as smtp://user:password@mail.example.com:587 (STARTTLS), smtps://… (implicit TLS), or smtp://…?tls=none",
    );
  }
  const user = decodeURIComponent(url.username);
  return {
    host: url.hostname,
    port: Number(url.port) || (implicit ? 465 : 587),
    tls,
    auth: user === "" ? undefined : { user, pass: decodeURIComponent(url.password) },
  };
};

export const emailAddress = (value: string): string => {
  if (!/^[^\s@"<>,;:()]+@[^\s@"<>,;:()]+$/.test(value)) {
    throw new Error("must be an e-mail address such as noreply@example.com");
  }
  return value;
};
