/**
 * Paths that two dialects share. One handler decides by properties that only one of them has. If
 * there are none, the response has the fields of both.
 *
 *     POST /auth/register    X-Tenant ─► that tenant's user (core-organizations)
 *                            names ─► a user of DEFAULT_TENANT (master-tenant)
 *                            neither ─► that as well if there is such a tenant, else an account
 *     POST /auth/login       X-Tenant or a host ─► that tenant's user; else whoever has the e-mail:
 *                            an account, or a user of DEFAULT_TENANT
 *     POST /api/auth/login   username_or_email ─► address-book; email or a form ─► as /auth/login
 *     GET /api/users         a page of them (master-tenant), and whose they are (host-routing)
 */
import { Type } from "typebox";
import {
  bearerOf,
  type Credentials,
  findAccountByEmail,
  findUserSubject,
  invitationOnly,
  logIn,
  refuseLogIn,
  register,
  type SignedInReply,
  signIn,
} from "../features/accounts/accounts.feature.ts";
import {
  asId,
  Email,
  emailTaken,
  findCredentials,
  NewPassword,
  PersonName,
  type UserTables,
} from "../features/users/users.feature.ts";
import type { TenantAudit } from "../kernel/audit/audit.ts";
import { type ErrorShape, feature, type RequestInfo } from "../kernel/feature/feature.ts";
import { secretText } from "../kernel/feature/fields.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { alsoAsForm, malformedFields } from "../kernel/http/body/form-body.ts";
import { invalidCredentials } from "../kernel/identity/errors.ts";
import { weakPassword } from "../kernel/identity/passwords.ts";
import { validationFailed } from "../kernel/lib/http-errors.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { tenantAccessDenied } from "../kernel/tenancy/errors.ts";
import { findCanonicalEmail } from "../kernel/validation/email.ts";
import { addressBookErrors } from "./address-book.errors.ts";
import { SessionTokens, sessionTokensOf } from "./address-book.sessions.ts";
import { coreErrors, Person, personOf } from "./core-organizations.ts";
import { Member, masterErrors, Profile, profileOf, usersPage } from "./master-tenant.ts";
import {
  findDefault,
  namedTenant,
  namesTenant,
  noDefaultTenant,
  pageNumbers,
  refuseOtherTenant,
  tenantOrDefault,
} from "./shared.ts";

const errorsOf = (name: string, ...shapes: readonly ErrorShape[]): ErrorShape => ({
  schema: Type.Evaluate(Type.Intersect(shapes.map(({ schema }) => schema)), { $id: name }),
  bodyOf: (error, request) =>
    Object.assign({}, ...shapes.map((shape) => shape.bodyOf(error, request))),
});

const authErrors = errorsOf("AuthError", masterErrors, coreErrors);
const logInErrors = errorsOf("LogInError", masterErrors, coreErrors, addressBookErrors);

const Password = Type.String({ minLength: 1, maxLength: 128 });

/** The fields of a form log-in (RFC 6749, section 4.3.2). Those about the client are ignored. */
const formFields = {
  username: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 254,
      description: "The username or the e-mail (the name of this field is OAuth 2's).",
    }),
  ),
  grant_type: Type.Optional(Type.Union([Type.Literal("password"), Type.Literal("")])),
  scope: Type.Optional(Type.String({ maxLength: 500 })),
  client_id: Type.Optional(Type.String({ maxLength: 200 })),
  client_secret: Type.Optional(Type.String({ maxLength: 200 })),
};

const token = secretText("Same as `access_token`.");
const tokens = {
  access_token: Type.Optional(secretText("For `Authorization: Bearer …`.")),
  refresh_token: Type.Optional(secretText("For `POST /api/auth/refresh`, once.")),
  token_type: Type.Optional(Type.Literal("bearer")),
};

/**
 * A person with the fields of both dialects; if both have one (`created_at`), the profile's form
 * wins.
 */
const Both = Type.Object(
  { ...Type.Partial(Person).properties, ...Profile.properties },
  { $id: "MasterTenantOrCorePerson" },
);

const Registered = Type.Object(
  {
    ...Type.Partial(Profile).properties,
    user: Type.Optional(Person),
    ...tokens,
    verification_required: Type.Optional(Type.Literal(true)),
  },
  { $id: "MasterTenantOrCoreRegistered" },
);

const LoggedIn = Type.Object(
  { token: Type.Optional(token), ...tokens, user: Both },
  { $id: "MasterTenantOrCoreLoggedIn" },
);
/** The address book's clients need more fields. */
const LoggedInAnywhere = Type.Object(
  { ...LoggedIn.properties, ...Type.Partial(SessionTokens).properties, user: Both },
  { $id: "DialectLoggedIn" },
);

const bothOf = (user: SignedInReply["user"]) => ({ ...personOf(user), ...profileOf(user) });

const tokensOf = (reply: SignedInReply) => {
  const { access_token, refresh_token, token_type } = bearerOf(reply);
  return { access_token, refresh_token, token_type };
};

interface LogInDeps {
  readonly platform: Platform;
  readonly request: RequestInfo;
  readonly audit: TenantAudit;
  readonly log: Logger;
}

const byNameOf = (name: string): Credentials["by"] => (name.includes("@") ? "email" : "username");

/** The name, from whichever field has it. @throws validationFailed without one */
function credentialsOf({
  email,
  username,
  password,
}: {
  email?: string;
  username?: string;
  password: string;
}): Credentials {
  const name = email ?? username;
  if (name === undefined) {
    throw validationFailed({ errors: [{ pointer: "/body/email", message: "is required" }] });
  }
  return { by: email === undefined ? byNameOf(name) : "email", name, password };
}

/** The account with the e-mail, and the tenant's user with it. */
async function whoHas({ control, withTenant }: Platform, home: Tenant | undefined, name: string) {
  const email = findCanonicalEmail(name) ?? "";
  const account = await findAccountByEmail(control, email);
  const user =
    home &&
    (await withTenant<UserTables, Awaited<ReturnType<typeof findCredentials>>>(home, ({ db }) =>
      findCredentials(db, "email", email),
    ));
  return { account, user };
}

/**
 * Logs in an account or a user of `DEFAULT_TENANT`. It chooses one before comparing the password,
 * because the time of a second hash would reveal who has an account. It chooses the account, unless
 * only the user has verified the e-mail: otherwise somebody could lock out the user by registering
 * an account with it.
 */
async function logInSomewhere(deps: LogInDeps, credentials: Credentials) {
  const home = await findDefault(deps.platform);
  // Accounts have no usernames.
  if (home && credentials.by === "username") return logIn(deps, home, credentials);
  const { account, user } = await whoHas(deps.platform, home, credentials.name);
  const asAccount = account && (!user || account.email_verified || !user.email_verified);
  return home && !asAccount
    ? logIn(deps, home, credentials)
    : logIn(deps, undefined, credentials, { core: true });
}

/** Logs in with the cookie that browsers send with the WebSocket handshake. */
async function logInToAddressBook(
  deps: LogInDeps & { readonly header: (name: string, value: string) => void },
  tenant: Tenant,
  { name, password }: { readonly name: string; readonly password: string },
): Promise<SignedInReply> {
  const { platform, request, header } = deps;
  const credentials = { by: byNameOf(name), name, password };
  const reply = await logIn({ ...deps, showNames: true }, tenant, credentials);
  const subject = await findUserSubject(platform, tenant, asId(reply.user.id));
  if (subject) await signIn({ platform, request, browser: header }, subject);
  return reply;
}

/**
 * The same at plain `localhost`, where accounts, such as platform administrators, can log in too:
 * if no tenant is named and the name is not a user of `DEFAULT_TENANT`.
 */
async function logInToAddressBookOrCore(
  deps: Parameters<typeof logInToAddressBook>[0],
  named: { readonly name: string; readonly password: string },
): Promise<SignedInReply> {
  const home = await findDefault(deps.platform);
  const credentials = { by: byNameOf(named.name), ...named };
  if (!home || credentials.by === "username") {
    return logInToAddressBook(deps, await tenantOrDefault(deps.platform, home), named);
  }
  // Choose one before comparing the password: see `logInSomewhere`.
  const { user, account } = await whoHas(deps.platform, home, named.name);
  return account && !user
    ? logIn(deps, undefined, credentials, { core: true })
    : logInToAddressBook(deps, home, named);
}

export const sharedPaths = feature<UserTables>("shared-paths", {
  routes: ({ absolute: r }) => [
    ...(["/auth/register", "/api/auth/register"] as const).map((path) =>
      r.post(
        path,
        {
          permission: "public",
          context: "any",
          limit: "credentials",
          audit: "auth.registered",
          summary: "Registers an account, or a user of a tenant",
          body: Type.Object({
            email: Email,
            password: NewPassword,
            first_name: Type.Optional(PersonName),
            last_name: Type.Optional(PersonName),
            is_owner: Type.Optional(
              Type.Boolean({ description: "Registers an account, which may own tenants." }),
            ),
          }),
          unknownTenant() {
            throw invitationOnly();
          },
          response: { 201: Registered },
          errors: [emailTaken, weakPassword, noDefaultTenant],
          errorShape: authErrors,
        },
        async ({ platform, request, tenant, body, audit, log }) => {
          const { is_owner: owner, ...person } = body;
          const named = person.first_name !== undefined || person.last_name !== undefined;
          const home = named
            ? await tenantOrDefault(platform, tenant)
            : await findDefault(platform);
          const where = tenant ?? (owner === undefined ? home : undefined);
          const deps = { platform, request, audit, log };
          const reply = await register(deps, where, person, { firstOwns: !tenant });
          if ("verification_required" in reply) return reply;
          const { user } = reply;
          if (named && !tenant) return profileOf(user);
          return {
            ...(where && !tenant && profileOf(user)),
            user: personOf(user),
            ...tokensOf(reply),
          };
        },
      ),
    ),

    r.post(
      "/auth/login",
      {
        permission: "public",
        context: "any",
        limit: "credentials",
        audit: "auth.logged_in",
        summary: "Logs in an account, or a user of a tenant",
        body: Type.Object(
          { email: Type.Optional(Email), password: Password, ...formFields },
          alsoAsForm,
        ),
        unknownTenant: (context) => refuseLogIn(context, context.body.password),
        response: LoggedIn,
        errors: [invalidCredentials, malformedFields],
        errorShape: authErrors,
      },
      async ({ platform, request, tenant, body, audit, log }) => {
        const deps = { platform, request, audit, log };
        const credentials = credentialsOf(body);
        const reply = await (tenant
          ? logIn(deps, tenant, credentials)
          : logInSomewhere(deps, credentials));
        return {
          token: bearerOf(reply).access_token,
          ...tokensOf(reply),
          user: bothOf(reply.user),
        };
      },
    ),

    r.post(
      "/api/auth/login",
      {
        permission: "public",
        context: "any",
        limit: "credentials",
        audit: "auth.logged_in",
        summary:
          "Logs in: with `username_or_email` to the tenant, or with `email` like POST /auth/login",
        body: Type.Object(
          {
            username_or_email: Type.Optional(Type.String({ minLength: 1, maxLength: 254 })),
            email: Type.Optional(Email),
            password: Password,
            ...formFields,
            ...namedTenant,
          },
          alsoAsForm,
        ),
        unknownTenant: (context) => refuseLogIn(context, context.body.password),
        response: LoggedInAnywhere,
        errors: [invalidCredentials, noDefaultTenant, tenantAccessDenied, malformedFields],
        errorShape: logInErrors,
      },
      async ({ platform, request, tenant, body, header, audit, log }) => {
        const deps = { platform, request, audit, log };
        const { username_or_email: name, password } = body;
        const home = tenant ?? (await findDefault(platform));
        await refuseOtherTenant(deps, home, body);
        const where = namesTenant(body) ? home : tenant;
        if (name === undefined) {
          const credentials = credentialsOf(body);
          const reply = await (where
            ? logIn(deps, where, credentials)
            : logInSomewhere(deps, credentials));
          return {
            token: bearerOf(reply).access_token,
            ...tokensOf(reply),
            user: bothOf(reply.user),
          };
        }
        const browser = { ...deps, header };
        const reply = await (where
          ? logInToAddressBook(browser, where, { name, password })
          : logInToAddressBookOrCore(browser, { name, password }));
        return { ...sessionTokensOf(reply), user: bothOf(reply.user) };
      },
    ),

    r.get(
      "/api/users",
      {
        permission: "users:read",
        summary: "Lists users by pages, oldest first",
        query: Type.Object(pageNumbers),
        response: Type.Object({
          tenant: Type.String({ description: "The tenant's key." }),
          users: Type.Array(Member),
          total_count: Type.Integer(),
          page: Type.Integer(),
          page_size: Type.Integer(),
        }),
        errorShape: masterErrors,
      },
      async ({ db, tenant, query }) => ({
        tenant: tenant.key,
        ...(await usersPage(db, tenant, query)),
      }),
    ),
  ],
});
