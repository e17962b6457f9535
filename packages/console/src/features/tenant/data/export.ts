import type { Client } from "@insulae/client";
import { anyClient } from "../../../lib/any-client.ts";
import type { Resource } from "../../../lib/document.ts";
import { saveAs } from "../../../lib/save-as.ts";

/** Downloads all of a list. */
export async function exportAll(client: Client, { name, path }: Resource): Promise<void> {
  const blob = (await anyClient(client).get(`${path}/export`, { parseAs: "blob" })) as Blob;
  saveAs(blob, `${name}.${blob.type.includes("csv") ? "csv" : "json"}`);
}
