/** Sends a test's requests with `inject()`, as a given caller. */
import type { App } from "../app/app-api.ts";

export interface TestReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  /** The body's JSON; undefined without a body, or if it is not JSON. */
  // Tests read what they expect out of it; a missing field is undefined and fails them.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  readonly body: any;
  /** The body as sent. */
  readonly text: string;
}

export interface TestRequest {
  readonly headers?: Readonly<Record<string, string>>;
}

type Get = (path: string, request?: TestRequest) => Promise<TestReply>;
/** @param body sent as JSON; text and bytes unchanged, with a `content-type` from the caller */
type Send = (path: string, body?: unknown, request?: TestRequest) => Promise<TestReply>;

interface Methods {
  readonly get: Get;
  readonly post: Send;
  readonly put: Send;
  readonly patch: Send;
  readonly delete: Send;
}

/** Calls the API as somebody. Paths are as declared by features: below `/api/v1`. */
export interface TestClient extends Methods {
  /** The same for routes outside `/api/v1` (`r.absolute`). */
  readonly absolute: Methods;
}

/** @param headers of each request, which identify the caller */
export function createTestClient(
  { inject }: Pick<App, "inject">,
  headers: Readonly<Record<string, string>> = {},
): TestClient {
  const methods = (prefix: string): Methods => {
    const send = async (
      method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
      path: string,
      body: unknown,
      request: TestRequest = {},
    ): Promise<TestReply> => {
      const isRaw = typeof body === "string" || body instanceof Uint8Array;
      const reply = await inject({
        method,
        url: `${prefix}${path}`,
        headers: {
          ...headers,
          ...(body !== undefined && !isRaw && { "content-type": "application/json" }),
          ...request.headers,
        },
        ...(body !== undefined && {
          payload:
            typeof body === "string" ? body : isRaw ? Buffer.from(body) : JSON.stringify(body),
        }),
      });
      const { statusCode: status, body: text } = reply;
      return { status, headers: reply.headers, text, body: jsonOf(text) };
    };
    return {
      get: (path, request) => send("GET", path, undefined, request),
      post: (path, body, request) => send("POST", path, body, request),
      put: (path, body, request) => send("PUT", path, body, request),
      patch: (path, body, request) => send("PATCH", path, body, request),
      delete: (path, body, request) => send("DELETE", path, body, request),
    };
  };
  return { ...methods("/api/v1"), absolute: methods("") };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
