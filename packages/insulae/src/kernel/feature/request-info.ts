import type { IncomingHttpHeaders } from "node:http";
import type { TSchema } from "typebox";
import type { AppError } from "../lib/errors.ts";

/** What a request says of itself, beside its parts. */
export interface RequestInfo {
  readonly id: string;
  readonly method: string;
  /** The client's address in its one form, as far as proxies are trusted. */
  readonly ip: string;
  readonly host: string;
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** Where this server is reached, from configuration, never from the Host header. */
  readonly baseUrl: string;
}

/** How errors look at a route. */
export interface ErrorShape {
  readonly schema: TSchema;
  /** Default: the error's. */
  readonly statusOf?: (error: AppError, request: Pick<RequestInfo, "headers">) => number;
  readonly bodyOf: (error: AppError, request: Pick<RequestInfo, "headers">) => unknown;
}
