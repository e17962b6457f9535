import { describe, expect, test } from "vitest";
import { asClientCode, asCurl, type Sent } from "../src/lib/requests.ts";

const sent: Sent = {
  id: 1,
  method: "PATCH",
  path: "/users/{id}/roles",
  url: "http://localhost:8000/api/v1/users/01a2/roles?notify=true",
  status: 200,
  ms: 12,
  requestId: undefined,
  rateLimit: undefined,
  body: { name: "Ada's role" },
  tenant: "acme",
};

describe("a request, to be repeated elsewhere", () => {
  test("as a line for the shell, whatever its body has", () => {
    expect(
      asCurl(sent),
    ).toBe(String.raw`curl -X PATCH 'http://localhost:8000/api/v1/users/01a2/roles?notify=true' \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"name":"Ada'\''s role"}'`);
  });

  test("as code with the client, with the parameters where they belong", () => {
    const code = asClientCode(sent);
    expect(code).toContain('client.patch("/users/{id}/roles"');
    expect(JSON.parse(code.slice(code.indexOf("{\n"), code.lastIndexOf(")")))).toEqual({
      params: { path: { id: "01a2" }, query: { notify: "true" } },
      body: { name: "Ada's role" },
    });
  });
});
