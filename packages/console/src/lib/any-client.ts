import type { Client } from "@insulae/client";

interface Options {
  readonly params?: { readonly path?: object; readonly query?: object };
  readonly body?: unknown;
  readonly ifMatch?: object;
  readonly signal?: AbortSignal;
  readonly parseAs?: "blob";
}
type Call = (path: string, options?: Options) => Promise<unknown>;

/** The client for paths that are known only from the server's document. */
export const anyClient = (client: Client) =>
  client as unknown as Readonly<Record<"get" | "post" | "put" | "patch" | "delete", Call>>;
