import { describe, expect, it } from "vitest";
import { feature, type Route } from "../feature/feature.ts";
import { uuidV5 } from "../lib/uuid.ts";
import { createPermissions, isAtLeast } from "./permissions.ts";

const routes = (): Route[] => [];
const notes = feature("notes", {
  permissions: {
    "notes:read": "See notes",
    "notes:write": "Write notes",
    "notes:purge": { description: "Delete all notes", role: "admin", aliases: ["PurgeNotes"] },
    "notes:review": { description: "Review notes", role: "manager" },
  },
  routes,
});
const bills = feature("bills", {
  permissions: { "bills:pay": { description: "Pay", role: "owner" } },
  routes,
});
const permissions = createPermissions([notes, bills]);

describe("the system roles", () => {
  it.each([
    ["owner", ["bills:pay", "notes:purge", "notes:read", "notes:review", "notes:write"]],
    ["admin", ["notes:purge", "notes:read", "notes:review", "notes:write"]],
    ["manager", ["notes:read", "notes:review", "notes:write"]],
    ["user", ["notes:read", "notes:write"]],
    ["viewer", ["notes:read"]],
    ["nobody", []],
    ["constructor", []],
  ])("have their own permissions and those of the roles below: %s", (role, expected) => {
    expect([...permissions.of(role)].sort()).toEqual(expected);
  });

  it("are ordered", () => {
    expect(isAtLeast("owner", "admin")).toBe(true);
    expect(isAtLeast("admin", "admin")).toBe(true);
    expect(isAtLeast("manager", "admin")).toBe(false);
    expect(isAtLeast("auditor", "viewer")).toBe(false);
    expect(isAtLeast("owner", "auditor")).toBe(false);
  });
});

describe("permissions", () => {
  it("are added by custom roles; undeclared ones are ignored", () => {
    const held = permissions.of("viewer", ["bills:pay", "ghosts:chase", "notes:read"]);
    expect([...held].sort()).toEqual(["bills:pay", "notes:read"]);
  });

  it("are found by name, alias, and an id derived from the name", () => {
    const id = uuidV5("notes:purge");
    for (const reference of ["notes:purge", "PurgeNotes", id, id.toUpperCase()]) {
      expect(permissions.find(reference)).toMatchObject({ id, name: "notes:purge" });
    }
    expect(permissions.find("notes:shred")).toBeUndefined();
  });

  it("have ids of version 5 of RFC 9562, which never change", () => {
    expect(uuidV5("notes:purge")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab]/);
    expect(uuidV5("contacts:read")).toBe("5b194158-90d6-55db-99ba-f2438fe280c3");
  });
});
