/** A page that uses the API, from the same host: `acme.localhost:8000/book` is the address book of Acme. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { feature, Type } from "insulae";
import { rolldown } from "rolldown";

const folder = new URL("./page/", import.meta.url);

/** The page's TypeScript, the client and what it stands on, as one script. */
export async function bundlePage(): Promise<string> {
  const bundle = await rolldown({ input: fileURLToPath(new URL("app.ts", folder)) });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  await bundle.close();
  return output[0].code;
}

/** @param script what `bundlePage` gave */
export const page = (script: string) =>
  feature("page", {
    routes: ({ absolute: r }) =>
      [
        {
          path: "/book",
          type: "text/html",
          text: () => readFile(new URL("index.html", folder), "utf8"),
        },
        {
          path: "/book/style.css",
          type: "text/css",
          text: () => readFile(new URL("style.css", folder), "utf8"),
        },
        { path: "/book/app.js", type: "text/javascript", text: () => script },
      ].map(({ path, type, text }) =>
        r.get(
          path,
          {
            permission: "public",
            context: "any",
            summary: `The page: ${path}`,
            response: Type.String({ contentMediaType: type }),
          },
          ({ header }) => {
            header("content-type", `${type}; charset=utf-8`);
            // Nothing but this page's own files, and nothing that is written into it.
            header("content-security-policy", "default-src 'self'; frame-ancestors 'none'");
            return text();
          },
        ),
      ),
  });
