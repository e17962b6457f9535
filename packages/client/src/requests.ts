/** A single request through openapi-fetch, without session and retries. */
import createFetchClient from "openapi-fetch";
import type { HttpMethod } from "openapi-typescript-helpers";
import { apiError } from "./errors.ts";
import { apiPrefix } from "./paths.ts";

/** @throws ApiError for an error status; a TypeError, as fetch does, if there is no response */
export type Send = (
  method: HttpMethod,
  path: string,
  options: Record<string, unknown>,
) => Promise<unknown>;

export interface Requests {
  readonly send: Send;
  /** @param shown an object from an earlier response, with its id */
  etagOf(shown: object): string;
}

/** A response that has arrived. */
export interface Answered {
  readonly method: string;
  /** As the call names it: `/contacts/{id}`. */
  readonly path: string;
  /** The request's, with its parameters. */
  readonly url: string;
  readonly status: number;
  /** The response's: `x-request-id`, `ratelimit`, … On pages of another origin, those that CORS exposes. */
  readonly headers: Headers;
  /** Milliseconds from the request until its body was read. */
  readonly ms: number;
}

interface RequestOptions {
  readonly baseUrl: string;
  readonly cookies: boolean;
  readonly onAnswer: ((answered: Answered) => void) | undefined;
}

export function createRequests({ baseUrl, cookies, onAnswer }: RequestOptions): Requests {
  const api = createFetchClient<Record<string, Record<HttpMethod, object>>>({
    baseUrl: baseUrl + apiPrefix,
    bodySerializer,
    ...(cookies && { credentials: "include" }),
  });
  const etags = new WeakMap<object, string>();

  return {
    async send(method, path, options) {
      const began = performance.now();
      const { data, error, response } = await api.request(method, path, withTypeOf(options));
      const { status, headers, url } = response;
      onAnswer?.({ method, path, url, status, headers, ms: performance.now() - began });
      if (!response.ok) throw apiError(response, error);
      const etag = response.headers.get("etag");
      if (etag !== null && isObject(data)) etags.set(data, etag);
      return data;
    },

    etagOf(shown) {
      const etag = etags.get(shown);
      if (etag !== undefined) return etag;
      throw new TypeError("ifMatch takes what this client has read by its id");
    },
  };
}

export const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null;

/** A file says what type it is, as with `fetch`. openapi-fetch would call it JSON. */
function withTypeOf(options: Record<string, unknown>): Record<string, unknown> {
  const { body, headers } = options;
  if (!(body instanceof Blob) || body.type === "") return options;
  return { ...options, headers: { "Content-Type": body.type, ...(headers as object) } };
}

/** Serialises objects as JSON. Forms, files and text stay as they are. */
const bodySerializer = (body: unknown): unknown =>
  typeof body === "string" || body instanceof FormData || body instanceof Blob
    ? body
    : JSON.stringify(body);
