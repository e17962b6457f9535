import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import {
  idParams,
  nameText,
  nullable,
  secretText,
  timestamp,
  uuid,
} from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import {
  hashApiKeySecret,
  newApiKeySecret,
  prefixOfApiKey,
  printApiKey,
} from "../../kernel/identity/api-key.ts";
import { personalOnly } from "../../kernel/identity/errors.ts";
import type { Permissions } from "../../kernel/identity/permissions.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { inTurn } from "../../kernel/lib/in-turn.ts";
import {
  declaredNames,
  namesOfPermissions,
  PermissionReference,
  unknownPermission,
} from "../roles/roles.feature.ts";
import { permissionNotHeld, refuseUnheld } from "../users/users.feature.ts";
import {
  type ApiKeyRow,
  type ApiKeyTables,
  countApiKeysOf,
  createApiKey,
  deleteApiKey,
  listApiKeys,
} from "./api-keys.queries.ts";

export const apiKeyNotFound = defineError("api_key_not_found", 404, "There is no such API key");
export const expiryPassed = defineError(
  "expiry_passed",
  400,
  "expires_at is in the past. Give a later time.",
);
export const tooManyApiKeys = defineError(
  "too_many_api_keys",
  409,
  "A user can have at most 50 API keys. Revoke one that is no longer used.",
);

/**
 * Bounds the work of one request: all of a user's keys are read together with their permissions.
 */
const maxKeysOfUser = 50;

const properties = {
  id: uuid,
  name: Type.String(),
  prefix: Type.String({ description: "The first characters of the key." }),
  scopes: Type.Array(Type.String(), {
    description: "The permissions that the key was created with.",
  }),
  user_id: Type.String({ format: "uuid", description: "The user who created it." }),
  expires_at: nullable(timestamp),
  last_used_at: Type.Union([timestamp, Type.Null()], {
    description: "Accurate to a minute or two.",
  }),
  created_at: timestamp,
};
const ApiKey = Type.Object(properties, { $id: "ApiKey" });
const MadeApiKey = Type.Object(
  { ...properties, key: secretText("The key itself. It is shown only once.") },
  { $id: "MadeApiKey" },
);
const NewApiKey = Type.Object(
  {
    name: nameText(100),
    scopes: Type.Array(PermissionReference, { minItems: 1, maxItems: 1_000 }),
    expires_at: Type.Optional(nullable(timestamp)),
  },
  { $id: "NewApiKey" },
);

const viewOf = (permissions: Permissions, { scopes, ...key }: ApiKeyRow) => ({
  ...key,
  scopes: declaredNames(permissions, scopes),
  prefix: prefixOfApiKey(key.id),
});

export const apiKeyRoutes = (r: RouteBuilder<ApiKeyTables>) => [
  r.get(
    "/api-keys",
    {
      permission: "api-keys:read",
      summary: "Lists the tenant's API keys, newest first",
      query: pageQuery(),
      response: pageOf(ApiKey),
    },
    async ({ db, permissions, page }) => {
      const { rows, more } = await listApiKeys(db, page);
      const last = rows.at(-1);
      return {
        items: rows.map((row) => viewOf(permissions, row)),
        next_cursor: more && last ? page.cursor.encode([last.id]) : null,
      };
    },
  ),

  r.post(
    "/api-keys",
    {
      permission: "api-keys:write",
      personal: true,
      audit: "api_key.created",
      summary: "Creates an API key with permissions that you hold yourself",
      description:
        "Send the key as `Authorization: Bearer ik_…` or `X-API-Key: ik_…`. It grants those of its scopes that its creator holds at the time of the request, and stops working when the creator is deactivated or deleted.",
      body: NewApiKey,
      response: { 201: MadeApiKey },
      errors: [unknownPermission, permissionNotHeld, expiryPassed, tooManyApiKeys, personalOnly],
    },
    async ({ db, tenant, user, permissions, forgetUser, audit, body }) => {
      const scopes = namesOfPermissions(permissions, body.scopes);
      refuseUnheld(user, scopes);
      const expiresAt = body.expires_at ? new Date(body.expires_at) : null;
      if (expiresAt && expiresAt.getTime() <= Date.now()) throw expiryPassed();
      const secret = newApiKeySecret();
      const row = await db.transaction().execute(async (tx) => {
        await inTurn(tx, "api_keys", user.id);
        const owned = await countApiKeysOf.first(tx, { userId: user.id });
        if (Number(owned?.total) >= maxKeysOfUser) throw tooManyApiKeys();
        return createApiKey.first(tx, {
          user_id: user.id,
          name: body.name.trim(),
          scopes,
          secret_hash: hashApiKeySecret(secret),
          expires_at: expiresAt,
        });
      });
      if (!row) throw new Error("the API key was not created");
      await forgetUser(user.id);
      await audit({
        action: "api_key.created",
        target: { type: "api_key", id: row.id },
        detail: { name: row.name, scopes, expires_at: expiresAt },
      });
      const key = printApiKey({ id: row.id, tenantId: tenant.id, userId: user.id, secret });
      return { ...viewOf(permissions, row), key };
    },
  ),

  r.delete(
    "/api-keys/:id",
    {
      permission: "api-keys:write",
      audit: "api_key.revoked",
      summary: "Revokes an API key, whoever created it. The key's next request is refused.",
      params: idParams,
      response: { 204: null },
      errors: [apiKeyNotFound],
    },
    async ({ db, forgetUser, audit, params }) => {
      const revoked = await deleteApiKey.first(db, params);
      if (!revoked) throw apiKeyNotFound();
      await forgetUser(revoked.user_id);
      await audit({
        action: "api_key.revoked",
        target: { type: "api_key", id: revoked.id },
        detail: { name: revoked.name },
      });
    },
  ),
];
