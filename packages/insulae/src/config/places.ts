/** Where clients and people find the server and its pages. */
import type { Values } from "./variables.ts";

export interface Places {
  /** The public URL of this server; links in documents start with it. */
  readonly baseUrl: string;
  /** The URL of the front end's pages; links in e-mails start with it. */
  readonly appUrl: string;
  /** Where the web console answers, at `/console`. */
  readonly console: "on" | "platform" | "tenants" | "off";
}

export function placesOf(
  values: Values,
  overrides: Partial<Places & { readonly port: number }>,
  { port, production }: { readonly port: number; readonly production: boolean },
): Places {
  const baseUrl = values.baseUrl ?? `http://localhost:${overrides.port ?? port}`;
  const console = values.console ?? (production ? "platform" : "on");
  const isOff = (overrides.console ?? console) === "off";
  const pages = `${overrides.baseUrl ?? baseUrl}${isOff ? "" : "/console"}`;
  return { baseUrl, appUrl: values.appUrl ?? pages, console };
}
