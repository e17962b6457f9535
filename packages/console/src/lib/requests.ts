/** The last requests of this tab, for the API drawer. */
import { useSyncExternalStore } from "react";

export interface Sent {
  readonly id: number;
  readonly method: string;
  /** Below `/api/v1`, as the API's document names it: `/contacts/{id}`. */
  readonly path: string;
  readonly url: string;
  readonly status: number;
  readonly ms: number;
  readonly requestId: string | undefined;
  readonly rateLimit: string | undefined;
  readonly body: unknown;
  /** Whether it was sent as a user of a tenant. */
  readonly tenant: string | undefined;
}

const most = 50;
let sent: readonly Sent[] = [];
let made = 0;
const listeners = new Set<() => void>();

export function noteRequest(request: Omit<Sent, "id">): void {
  made += 1;
  sent = [{ id: made, ...request }, ...sent].slice(0, most);
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export const useRequests = (): readonly Sent[] => useSyncExternalStore(subscribe, () => sent);

/** Stands for a file in code, which doesn't have its bytes. */
const theFile = "the file";

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** @returns lines to paste in a shell; the token is the reader's own affair */
export function asCurl({ method, url, body }: Sent): string {
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}${quoted(url)}`];
  lines.push(`-H "Authorization: Bearer $TOKEN"`);
  if (body instanceof Blob) {
    lines.push(`-H 'Content-Type: ${body.type}'`, "--data-binary @file");
  } else if (body !== undefined) {
    lines.push(`-H 'Content-Type: application/json'`, `-d ${quoted(JSON.stringify(body))}`);
  }
  return lines.join(" \\\n  ");
}

/** @returns the same with `@insulae/client` */
export function asClientCode({ method, path, url, body }: Sent): string {
  const { pathname, searchParams } = new URL(url);
  const values = pathname.split("/").slice(-path.split("/").length + 1);
  const names = path.split("/").slice(1);
  const inPath = Object.fromEntries(
    names.flatMap((name, at) =>
      name.startsWith("{") ? [[name.slice(1, -1), decodeURIComponent(values[at] ?? "")]] : [],
    ),
  );
  const params = {
    ...(Object.keys(inPath).length > 0 && { path: inPath }),
    ...(searchParams.size > 0 && { query: Object.fromEntries(searchParams) }),
  };
  const options = {
    ...(Object.keys(params).length > 0 && { params }),
    ...(body !== undefined && { body: body instanceof Blob ? theFile : body }),
  };
  const code = JSON.stringify(options, null, 2).replace(`"${theFile}"`, "file");
  const given = Object.keys(options).length > 0 ? `, ${code}` : "";
  return `await client.${method.toLowerCase()}(${JSON.stringify(path)}${given});`;
}
