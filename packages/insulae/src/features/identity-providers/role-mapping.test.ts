import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { mapRoles } from "./role-mapping.ts";
import { type Configured, signInTools } from "./sign-in-fixture.ts";

const groups = {
  claim: ["groups"],
  values: [
    { value: "staff", role: "manager" },
    { value: "bosses", role: "admin" },
    { value: "guests", role: "viewer" },
  ],
};

describe("a claim's values", () => {
  const roleOf = (claims: Record<string, unknown>, mapping = groups) =>
    mapRoles({ role_mapping: mapping, default_role: "user" }, claims).system;

  it.each([
    [["staff"], "manager"],
    ["staff", "manager"],
    [["guests", "bosses", "staff"], "admin"],
    [["guests"], "viewer"],
    [["other"], "user"],
    [[], "user"],
    [undefined, "user"],
    [null, "user"],
    [[["staff"]], "user"],
    [{ staff: true }, "user"],
    ["staff,bosses", "user"],
    [" staff", "user"],
    ["STAFF", "user"],
  ])("%j lead to %s", (value, role) => {
    expect(roleOf({ groups: value })).toBe(role);
  });

  it("may lie deeper, and only in what the provider has said", () => {
    const deep = { ...groups, claim: ["realm_access", "roles"] };
    expect(roleOf({ realm_access: { roles: ["staff"] } }, deep)).toBe("manager");
    expect(roleOf({ realm_access: "roles" }, deep)).toBe("user");
    expect(roleOf(Object.create({ groups: ["bosses"] }))).toBe("user");
  });

  it("make nobody an owner, whatever is stored", () => {
    const mapping = { claim: ["groups"], values: [{ value: "staff", role: "owner" }] };
    const { system, own } = mapRoles(
      { role_mapping: mapping, default_role: "user" },
      { groups: ["staff"] },
    );
    expect([system, own.given]).toEqual(["user", []]);
  });
});

describe("a user's roles", () => {
  let people: TestPeople;
  let tools: ReturnType<typeof signInTools>;
  beforeAll(async () => {
    people = await openTestPeople();
    tools = signInTools(people);
  });
  afterAll(() => people?.close());

  const roleWith = async (at: Configured, permission: string): Promise<string> =>
    (
      await people.post("/api/v1/roles", {
        token: at.owner.token,
        body: { name: permission, permissions: [permission] },
      })
    ).body.id;
  const map = async (at: Configured, body: object) => {
    const url = `/api/v1/identity-providers/${at.id}`;
    const { status } = await people.patch(url, { token: at.owner.token, body });
    expect(status).toBe(200);
  };
  /** Signs in with these groups. @returns the roles that they have then, and their token. */
  const come = async (at: Configured, said: unknown) => {
    at.provider.person.groups = said;
    const { body, error } = await tools.signIn(at);
    expect(error).toBeNull();
    const roles = await people.get(`/api/v1/users/${body.user.id}/roles`, at.owner);
    const names = roles.body.items.map(({ name }: { name: string }) => name);
    return { names, id: body.user.id as string, token: body.token as string };
  };

  it("follow the claim at each sign-in where the provider says so, from the next request on", async () => {
    const at = await tools.configure();
    const [mapped, other] = [await roleWith(at, "audit:read"), await roleWith(at, "users:write")];
    const values = [...groups.values, { value: "auditors", role: mapped }];
    await map(at, { update_roles: true, role_mapping: { ...groups, values } });
    const first = await come(at, ["bosses", "auditors"]);
    expect(first.names).toEqual(["admin", "audit:read"]);
    await people.post(`/api/v1/users/${first.id}/roles`, {
      token: at.owner.token,
      body: { role: other },
    });
    const providers = () => people.get("/api/v1/identity-providers", { token: first.token });
    expect((await providers()).status).toBe(200);
    // What the mapping does not know, it leaves alone.
    expect((await come(at, ["guests"])).names).toEqual(["viewer", "users:write"]);
    expect((await providers()).status).toBe(403);
    expect((await come(at, undefined)).names).toEqual(["user", "users:write"]);
  });

  it("are those of the first sign-in where the provider does not", async () => {
    const at = await tools.configure();
    await map(at, { role_mapping: groups });
    expect((await come(at, ["staff"])).names).toEqual(["manager"]);
    expect((await come(at, ["bosses"])).names).toEqual(["manager"]);
  });

  it("of who was there before stay as they are, unless the provider updates them", async () => {
    const at = await tools.configure();
    await map(at, { role_mapping: groups });
    const { user } = await people.addUser(at.tenant, at.owner, { role: "viewer" });
    at.provider.person.email = user.email;
    expect((await come(at, ["bosses"])).names).toEqual(["viewer"]);
    await map(at, { update_roles: true });
    expect((await come(at, ["bosses"])).names).toEqual(["admin"]);
  });

  it("are none of those that grew above administrators after they were mapped, or are gone", async () => {
    const at = await tools.configure();
    const [grown, gone] = [await roleWith(at, "audit:read"), await roleWith(at, "users:write")];
    const values = [
      { value: "auditors", role: grown },
      { value: "leavers", role: gone },
    ];
    await map(at, { update_roles: true, role_mapping: { claim: ["groups"], values } });
    const { token } = at.owner;
    expect((await people.delete(`/api/v1/roles/${gone}`, { token })).status).toBe(204);
    expect((await come(at, ["leavers"])).names).toEqual(["user"]);
    const body = { permissions: ["tenants:manage"] };
    expect((await people.put(`/api/v1/roles/${grown}`, { token, body })).status).toBe(200);
    at.provider.person.groups = ["auditors"];
    expect((await tools.signIn(at)).error).toBe("own_way_only");
    expect((await come(at, [])).names).toEqual(["user"]);
  });
});
