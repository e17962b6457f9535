import type { IncomingHttpHeaders } from "node:http";
import type { TSchema } from "typebox";
import type { AppError } from "../lib/errors.ts";

/** A request's metadata. */
export interface RequestInfo {
  readonly id: string;
  readonly method: string;
  /** The client's canonical IP address, as far as proxies are trusted. */
  readonly ip: string;
  readonly host: string;
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** This server's URL from the configuration, never from the header Host. */
  readonly baseUrl: string;
}

/** The error format of a route. */
export interface ErrorShape {
  readonly schema: TSchema;
  /** Default: the error's own status. */
  readonly statusOf?: (error: AppError, request: Pick<RequestInfo, "headers">) => number;
  readonly bodyOf: (error: AppError, request: Pick<RequestInfo, "headers">) => unknown;
}
