import { describe, expect, it } from "vitest";
import { layOut, paragraphsOf } from "./layout.ts";

const brand = { name: "Acme", supportEmail: undefined };
const laidOut = (body: string) => layOut({ subject: "Hi", parts: paragraphsOf(body) }, brand);

describe("a mail's text", () => {
  it.each(["\n", "\r\n", "\r"])("keeps single line ends and paragraphs (%j)", (end) => {
    const { text, html } = laidOut(["Street 1", " 8000 <Zurich>", "", "", "Bye"].join(end));
    expect(text).toBe("Street 1\n8000 <Zurich>\n\nBye\n\nAcme\n");
    expect(html).toContain("<p>Street 1<br>8000 &lt;Zurich&gt;</p><p>Bye</p>");
  });

  it("has no other control characters, nor empty lines in a paragraph", () => {
    expect(paragraphsOf("a\u0000b\n\u202e\nc\n \n\n\nd")).toEqual(["a b\nc", "d"]);
  });
});
