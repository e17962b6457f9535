/** Uploads as clients do them, and their results. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { App } from "../app/app-api.ts";
import type { TestMember, TestReply } from "./fixtures.ts";

export interface TestUpload {
  readonly content: string | Buffer;
  readonly name?: string;
  readonly type?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

const boundary = "a-boundary-of-the-test";

/** A form with the fields followed by the file. */
export function formOf({ content, name = "a.txt", type = "text/plain", fields = {} }: TestUpload) {
  const part = (head: string, body: string | Buffer) =>
    Buffer.concat([
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n`),
      Buffer.from(body),
      Buffer.from("\r\n"),
    ]);
  return {
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    payload: Buffer.concat([
      ...Object.entries(fields).map(([field, text]) => part(`name="${field}"`, text)),
      part(`name="file"; filename="${name}"\r\ncontent-type: ${type}`, content),
      Buffer.from(`--${boundary}--\r\n`),
    ]),
  };
}

/** Uploads through the server. */
export async function upload(app: App, by: TestMember, file: TestUpload): Promise<TestReply> {
  const { headers, payload } = formOf(file);
  const reply = await app.inject({
    method: "POST",
    url: "/api/v1/files/upload",
    headers: { ...headers, authorization: `Bearer ${by.token}` },
    payload,
  });
  const text = reply.body.replace(/"request_id":"[^"]*"/, '"request_id":""');
  return { status: reply.statusCode, body: JSON.parse(text), text };
}

/** The download's path and query. */
export async function downloadOf(app: App, by: TestMember, id: string): Promise<string> {
  const reply = await app.inject({
    url: `/api/v1/files/${id}/download`,
    headers: { authorization: `Bearer ${by.token}` },
  });
  if (reply.statusCode !== 302) throw new Error(`no download: ${reply.statusCode} ${reply.body}`);
  const { pathname, search } = new URL(String(reply.headers.location));
  return pathname + search;
}

/** Sends the bytes with a signed request of the local folder. */
export async function send(
  app: App,
  { url, headers }: { readonly url: string; readonly headers: Record<string, string> },
  payload: string | Buffer | Readable,
) {
  const { pathname, search } = new URL(url);
  const reply = await app.inject({ method: "PUT", url: pathname + search, headers, payload });
  return reply.statusCode;
}

/** Bytes that look like a PNG. */
export const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(1_000, 7)]);

/** A tenant's files in the folder, and everybody's unfinished uploads. */
export const storedOf = (app: App, { tenant }: TestMember): string[] =>
  [tenant.id, "unfinished"].flatMap((place) => {
    try {
      return readdirSync(join(app.config.dataDir, "files", place), { recursive: true })
        .map(String)
        .filter((name) => name !== "incoming");
    } catch {
      return [];
    }
  });

/** The size of the tenant's files in bytes according to their rows. */
export const usageOf = async (app: App, { tenant }: TestMember) => {
  const [row] = await app.withTenant(tenant, ({ db }) =>
    db.query<{ bytes: string }>("select coalesce(sum(file_size), 0) as bytes from files"),
  );
  return Number(row?.bytes);
};
