/**
 * The dialect of a system with a core and organizations. Without `X-TENANT` a request is for the
 * core, with it (an organization's number) for a tenant. An organization has a database
 * `tenant_<number>`, and its owner is its first user. All routes also exist with the prefix `/api`.
 */
import { Type } from "typebox";
import {
  findAccountByEmail,
  type SignedInReply,
  verifyEmail,
} from "../features/accounts/accounts.feature.ts";
import { isolationNotPermitted, makeTenant } from "../features/tenants/tenants.feature.ts";
import { findUser, type UserTables } from "../features/users/users.feature.ts";
import { type ErrorShape, feature, type RouteBuilder } from "../kernel/feature/feature.ts";
import { nameText, nullable, timestamp, uuid } from "../kernel/feature/fields.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { mayBeAbsent } from "../kernel/http/body/form-body.ts";
import { wrongContext } from "../kernel/identity/errors.ts";
import { defineError } from "../kernel/lib/errors.ts";
import { validationFailed } from "../kernel/lib/http-errors.ts";
import { normalised } from "../kernel/lib/text.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { tooManyTenants } from "../kernel/tenancy/ownership.ts";
import { isError, messageOf } from "./shared.ts";

export const coreErrors: ErrorShape = {
  schema: Type.Object({ detail: Type.String() }, { $id: "CoreError" }),
  bodyOf: (error) => ({ detail: messageOf(error) }),
};

const ownersOnly = defineError("owners_only", 403, "Only owners can create organizations");
const unknownToken = defineError("unknown_verification_token", 404, "Invalid verification token");
const userGone = defineError("user_gone", 401, "Could not validate credentials");

/** An account (`is_owner`, `is_verified`) or a tenant's user (`is_active`). */
export const Person = Type.Object(
  {
    id: uuid,
    email: Type.String(),
    created_at: timestamp,
    is_verified: Type.Optional(Type.Boolean()),
    is_owner: Type.Optional(Type.Boolean()),
    is_active: Type.Optional(Type.Boolean()),
  },
  { $id: "CorePerson" },
);

export function personOf(user: SignedInReply["user"]) {
  const { id, email, created_at } = user;
  return "is_owner" in user
    ? { id, email, created_at, is_verified: user.email_verified, is_owner: user.is_owner }
    : { id, email, created_at, is_active: user.is_active };
}

const Name = nameText(255);

const Organization = Type.Object(
  {
    id: Type.Integer({ description: "The tenant's number, for `X-TENANT`." }),
    name: Type.String(),
    owner_id: nullable(uuid),
    created_at: timestamp,
  },
  { $id: "Organization" },
);

/** Derives a key from a name, which may contain anything. */
function keyOf(name: string): string {
  const words =
    normalised(name)
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  return `org_${words.join("_")}`.slice(0, 40).replace(/_$/, "");
}

/** Creates the organization under the first free key: `org_acme`, `org_acme_2`, … */
async function makeOrganization(
  context: Parameters<typeof makeTenant>[0],
  name: string,
): Promise<Tenant> {
  const key = keyOf(name);
  for (let attempt = 1; ; attempt += 1) {
    const suffix = attempt < 10 ? attempt : crypto.randomUUID().slice(0, 8);
    try {
      return await makeTenant(context, {
        key: attempt === 1 ? key : `${key}_${suffix}`,
        name,
        isolation: "database",
        placementName: ({ number }) => `tenant_${number}`,
      });
    } catch (error) {
      if (!isError(error, "tenant_exists") || attempt > 12) throw error;
    }
  }
}

async function findPerson(
  platform: Platform,
  tenant: Tenant | undefined,
  user: { readonly id: string; readonly email: string },
) {
  const found = tenant
    ? await platform.withTenant<UserTables, Awaited<ReturnType<typeof findUser.first>>>(
        tenant,
        ({ db }) => findUser.first(db, { id: user.id }),
      )
    : await findAccountByEmail(platform.control, user.email);
  if (!found) throw userGone();
  return personOf(found);
}

/** @throws validationFailed unless exactly one name is given, possibly twice */
function nameIn(...parts: readonly ({ readonly name?: string } | undefined)[]): string {
  const [name, other] = new Set(parts.flatMap((part) => part?.name ?? []));
  if (name !== undefined && other === undefined) return name;
  const message = name === undefined ? "is required" : "differs from the one in the query";
  throw validationFailed({ errors: [{ pointer: "/body/name", message }] });
}

const errorShape = coreErrors;

const routesBelow = (r: RouteBuilder<UserTables>["absolute"], prefix: "" | "/api") => [
  r.get(
    `${prefix}/auth/verify`,
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      summary: "Verifies an e-mail with the token that was sent to it",
      query: Type.Object({ token: Type.String({ minLength: 1, maxLength: 200 }) }),
      unknownTenant() {
        throw unknownToken();
      },
      response: Type.Object({ message: Type.String() }),
      errors: [unknownToken],
      errorShape,
    },
    async ({ platform, tenant, query, audit }) => {
      try {
        const { subject, tenant: where } = await verifyEmail(platform, tenant, query.token);
        const kind = where ? "user" : "account";
        await audit({
          action: "auth.email_verified",
          tenant: where ?? null,
          actor: { kind, id: subject.id },
        });
      } catch (error) {
        if (isError(error, "invalid_link")) throw unknownToken();
        throw error;
      }
      return { message: "Email verified successfully" };
    },
  ),

  r.get(
    `${prefix}/users/me`,
    {
      permission: "authenticated",
      context: "any",
      summary: "Returns the account, or in a tenant the user",
      response: Person,
      errorShape,
    },
    ({ platform, tenant, user, request }) => {
      // The token is an account's, but the header names a tenant.
      const { "x-tenant": named, "x-tenant-id": alsoNamed } = request.headers;
      if (!tenant && (named || alsoNamed)) throw wrongContext();
      return findPerson(platform, tenant, user);
    },
  ),

  r.post(
    `${prefix}/organizations`,
    {
      permission: "authenticated",
      context: "core",
      audit: "tenant.created",
      summary: "Creates an organization that the account owns",
      description: "Give the name in the body or as `?name=`.",
      query: Type.Object({ name: Type.Optional(Name) }),
      body: Type.Object({ name: Type.Optional(Name) }, mayBeAbsent),
      response: { 201: Organization },
      errors: [ownersOnly, isolationNotPermitted, tooManyTenants],
      errorShape,
    },
    async ({ platform, user, query, body, audit }) => {
      const name = nameIn(query, body);
      const account = await findAccountByEmail(platform.control, user.email);
      if (!account?.is_owner) throw ownersOnly();
      const tenant = await makeOrganization({ platform, user }, name);
      await audit({ action: "tenant.created", target: { type: "tenant", id: tenant.id } });
      const { number: id, ownerAccountId, createdAt } = tenant;
      return {
        id,
        name,
        owner_id: ownerAccountId ?? null,
        created_at: createdAt.toISOString(),
      };
    },
  ),
];

export const coreOrganizations = feature<UserTables>("core-organizations", {
  routes: ({ absolute: r }) => [...routesBelow(r, ""), ...routesBelow(r, "/api")],
});
