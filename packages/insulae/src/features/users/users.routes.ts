import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery, searchText, totalWanted } from "../../kernel/feature/page.ts";
import { exported, exportList, exportQuery } from "../../kernel/http/reply/export.ts";
import { weakPassword } from "../../kernel/identity/passwords.ts";
import { orThrow } from "../../kernel/lib/errors.ts";
import type { TenantMail } from "../../kernel/mail/mail.ts";
import { quotaExceeded } from "../../kernel/tenancy/plans.ts";
import { invalidEmail } from "../../kernel/validation/email.ts";
import { noticeMail, verificationMail } from "./mails.ts";
import { invalidUsername } from "./username.ts";
import {
  asId,
  findUser,
  listUsers,
  lockUserAndOwners,
  nextUsers,
  type UserTables,
} from "./users.queries.ts";
import { Email, NewPassword, PersonName, Role, User, Username } from "./users.schemas.ts";
import {
  addUser,
  changeUser,
  emailTaken,
  lastOwner,
  type Owned,
  ownsTenant,
  permissionNotHeld,
  removeUser,
  roleAboveOwn,
  type UserChanges,
  type UserDeps,
  userNotFound,
  usernameTaken,
  type WithEvents,
} from "./users.service.ts";

const Changes = Type.Object(
  {
    email: Type.Optional(Email),
    username: Type.Optional(nullable(Username)),
    first_name: Type.Optional(PersonName),
    last_name: Type.Optional(PersonName),
    role: Type.Optional(Role),
    is_active: Type.Optional(Type.Boolean()),
  },
  { $id: "UserChanges", minProperties: 1 },
);
const New = Type.Object(
  {
    email: Email,
    username: Type.Optional(nullable(Username)),
    password: Type.Optional(NewPassword),
    first_name: Type.Optional(PersonName),
    last_name: Type.Optional(PersonName),
    role: Type.Optional(Role),
  },
  { $id: "NewUser" },
);

/** In lower case, as PostgreSQL writes UUIDs: cache keys contain the id in this form. */
const userIdOf = ({ id }: { id: string }) => asId(id);

/** Notifies the old address, in case somebody has taken over the user, and verifies the new one. */
async function notifyBothAddresses(mail: TenantMail, { from, to }: { from: string; to: string }) {
  const at = new Date().toUTCString();
  await mail.send(noticeMail, { to: from, variables: { what: "email_changed", at } });
  await mail.send(verificationMail, { to, variables: {} });
}

const filters = {
  q: searchText,
  email: Type.Optional(Email),
  role: Type.Optional(Role),
  is_active: Type.Optional(Type.Boolean()),
};

interface Handling extends UserDeps, WithEvents, Owned {
  readonly mail: TenantMail;
  readonly forgetUser: (userId: string) => Promise<void>;
}

interface Sending {
  /** Counts the tenant's daily usage. @throws quota_exceeded */
  readonly countUsage: (metric: "notifications") => void;
}

/** Changes a user with immediate effect. A change of e-mail sends messages to both addresses. */
export async function editUser(
  context: Handling & Sending,
  params: { readonly id: string },
  changes: UserChanges,
) {
  const id = userIdOf(params);
  // A new address gets an e-mail.
  if (changes.email !== undefined) context.countUsage("notifications");
  const { changed, moved } = await changeUser(context, id, changes);
  if (moved) await notifyBothAddresses(context.mail, moved);
  await context.forgetUser(id);
  return changed;
}

/** Deletes a user and ends their access at once. */
export async function dropUser(context: Handling, params: { readonly id: string }): Promise<void> {
  const id = userIdOf(params);
  try {
    await removeUser(context, id);
  } finally {
    // Also completes an earlier attempt that stopped after deleting the user: it deletes the
    // membership.
    await context.forgetUser(id);
  }
}

export const userRoutes = (r: RouteBuilder<UserTables>) => [
  r.get(
    "/users",
    {
      permission: "users:read",
      summary: "Lists users, newest first",
      description: "`q` searches e-mail, username and name, ignoring case.",
      query: pageQuery({ ...filters, total: totalWanted }),
      response: pageOf(User),
    },
    ({ db, query, page }) => listUsers(db, query, page),
  ),

  r.get(
    "/users/export",
    {
      permission: "users:read",
      audit: "users.exported",
      summary: "Exports users, newest first, as CSV or JSON lines",
      query: exportQuery(filters),
      response: exported,
      atATime: "exports",
    },
    ({ db, query, header }) =>
      exportList(
        { name: "users", format: query.format, header },
        {
          row: User,
          next: (page) => nextUsers(db, query, page),
        },
      ),
  ),

  r.post(
    "/users",
    {
      permission: "users:write",
      impersonators: false,
      audit: "user.created",
      summary: "Adds a user, with a role up to your own",
      body: New,
      response: { 201: User },
      errors: [
        emailTaken,
        usernameTaken,
        roleAboveOwn,
        permissionNotHeld,
        invalidEmail,
        invalidUsername,
        weakPassword,
        quotaExceeded,
      ],
    },
    (context) => addUser(context, context.body),
  ),

  r.get(
    "/users/:id",
    {
      permission: "users:read",
      summary: "Returns a user",
      params: idParams,
      response: User,
      // Locks all rows that the change locks, in the one order that can't deadlock.
      etag: (tx, id) => lockUserAndOwners(tx, userIdOf({ id })),
      errors: [userNotFound],
    },
    ({ db, params }) => findUser.json(db, params).then(orThrow(userNotFound)),
  ),

  r.patch(
    "/users/:id",
    {
      permission: "users:write",
      impersonators: false,
      audit: "user.changed",
      summary: "Changes a user's details, role or status, with effect from their next request",
      params: idParams,
      body: Changes,
      response: User,
      errors: [
        userNotFound,
        emailTaken,
        usernameTaken,
        roleAboveOwn,
        permissionNotHeld,
        lastOwner,
        ownsTenant,
        invalidEmail,
        invalidUsername,
        quotaExceeded,
      ],
    },
    (context) => editUser(context, context.params, context.body),
  ),

  r.delete(
    "/users/:id",
    {
      permission: "users:write",
      audit: "user.deleted",
      summary: "Deletes a user",
      params: idParams,
      response: { 204: null },
      errors: [userNotFound, roleAboveOwn, permissionNotHeld, lastOwner, ownsTenant],
    },
    (context) => dropUser(context, context.params),
  ),
];
