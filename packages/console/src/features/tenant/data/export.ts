import type { Client } from "@insulae/client";
import { anyClient } from "../../../lib/any-client.ts";
import type { Resource } from "../../../lib/document.ts";

/** Downloads all of a list: it is asked for with this tab's token, which a link would not send. */
export async function exportAll(client: Client, { name, path }: Resource): Promise<void> {
  const blob = (await anyClient(client).get(`${path}/export`, { parseAs: "blob" })) as Blob;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}.${blob.type.includes("csv") ? "csv" : "json"}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
