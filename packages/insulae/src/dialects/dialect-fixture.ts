import type { App } from "../app/app-api.ts";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

interface Asked {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly token?: string;
}

/** Sends a request as the dialect's documentation shows it. */
export const caller =
  (app: App) =>
  async (method: Method, url: string, { body, headers, token }: Asked = {}) => {
    const reply = await app.inject({
      method,
      url,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    });
    return {
      status: reply.statusCode,
      body: reply.body === "" ? undefined : reply.json(),
      cookies: [reply.headers["set-cookie"] ?? []].flat(),
    };
  };

export type Call = ReturnType<typeof caller>;
