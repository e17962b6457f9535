// Made by `node scripts/client-schema.ts` from the server's routes.

/** Where `POST` takes an `Idempotency-Key`. */
export const createdOnce: ReadonlySet<string> = new Set([
  "/users",
  "/roles",
  "/invitations",
  "/notifications/templates",
  "/notifications/suppressions",
  "/notifications/push/subscriptions",
  "/notifications/email",
  "/notifications/sms",
  "/notifications/push",
  "/webhooks/{id}/deliveries/{delivery}/redeliver",
  "/contacts",
  "/products",
  "/orders",
  "/documents"
]);

export interface paths {
    "/api/v1/storage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Gives a file to whoever has its signed URL
         * @description Where files are in a local folder. The URL comes from `GET /api/v1/files/{id}/download`. A `Range` of bytes is answered with 206, and the whole file if `If-Range` is not its `ETag`.
         *
         *     Anybody may call this.
         */
        get: operations["getStorage"];
        /**
         * Takes a file from whoever has a signed URL for it
         * @description Where files are in a local folder. The URL comes from `POST /api/v1/files`; the body is the file, of exactly the size and `Content-Type` that were given there.
         *
         *     Anybody may call this.
         */
        put: operations["putStorage"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Registers, and signs in
         * @description Where a tenant is known (by host, header or `tenant`), as its user with the role `user`; otherwise as an account of the platform, which may make tenants. Where e-mails must be verified first, nobody is signed in, and the answer is the same for an address that is registered already: a mail says what happened.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthRegister"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Logs in, with an e-mail or a username
         * @description Where a tenant is known (by host, header or `tenant`), as its user. Otherwise as an account: one that is in a single tenant gets a token for that tenant; one that is in several gets a token for the platform, and the list `tenants` to switch to.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthLogin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives new tokens for a refresh token, which is good once
         * @description If the answer is lost, the same token gives the same successor for ten seconds. One that comes again later, or after its successor was used, was copied: its session ends.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthRefresh"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/switch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives a token for another tenant of the same account, in a session of its own
         * @description Whoever is signed in may call this.
         */
        post: operations["postAuthSwitch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ends the session: its access tokens or its cookie, everywhere, and its refresh token
         * @description Whoever is signed in may call this.
         */
        post: operations["postAuthLogout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/logout-all": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ends all sessions of the person, this one too
         * @description Of an account: in the core and in all its tenants.
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postAuthLogoutAll"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists one's own sessions here that are open, newest first
         * @description Whoever is signed in may call this.
         */
        get: operations["getAuthSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Ends one of one's own sessions
         * @description Whoever is signed in may call this.
         */
        delete: operations["deleteAuthSessionsById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Says who is signed in, where, and what they may do
         * @description Whoever is signed in may call this.
         */
        get: operations["getAuthMe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/verify-email": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Verifies an e-mail, with the token out of the mail
         * @description Anybody may call this.
         */
        post: operations["postAuthVerifyEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/resend-verification": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends the mail that verifies an e-mail once more
         * @description The answer is the same for every address. A mail is sent to one that is registered (in the tenant, if one is known, otherwise as an account) and not verified yet.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthResendVerification"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password-reset-request": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends a mail with a link that sets a new password
         * @description The answer is the same for every address. A mail is sent to one that is registered: in the tenant, if one is known, otherwise as an account.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthPasswordResetRequest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password-reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sets a new password, with the token out of the mail
         * @description Ends all sign-ins, and verifies the e-mail. A user who is linked to an account sets the account's password.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthPasswordReset"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password-change": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Changes the caller's password
         * @description Ends all sign-ins, and gives new tokens to the caller. A user who is linked to an account changes the account's password.
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postAuthPasswordChange"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists tenants, newest first
         * @description Platform administrators may call this.
         */
        get: operations["getTenants"];
        put?: never;
        /**
         * Makes a tenant
         * @description In development anybody may; in production it takes an account, which then owns the tenant and is its first user, with the role `owner`. How many tenants an account may own (`TENANTS_PER_ACCOUNT`) and which isolation its plan allows (`PLAN_ISOLATIONS`) is for the installation to say; platform administrators are not bound by it.
         *
         *     Anybody may call this.
         */
        post: operations["postTenants"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a tenant
         * @description Whoever is signed in may call this.
         */
        get: operations["getTenantsById"];
        /**
         * Changes a tenant's name, settings or (platform administrators) plan
         * @description Whoever is signed in may call this.
         */
        put: operations["putTenantsById"];
        post?: never;
        /**
         * Deletes a tenant; its rows are erased after the grace period
         * @description Platform administrators may call this.
         */
        delete: operations["deleteTenantsById"];
        options?: never;
        head?: never;
        /**
         * Changes a tenant's name, settings or (platform administrators) plan
         * @description Whoever is signed in may call this.
         */
        patch: operations["patchTenantsById"];
        trace?: never;
    };
    "/api/v1/tenants/{id}/config": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a tenant's name, plan and settings
         * @description Read through Redis where there is one, in which it is `tenant:{id}:config`.
         *
         *     Whoever is signed in may call this.
         */
        get: operations["getTenantsByIdConfig"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/suspend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Suspends a tenant
         * @description Platform administrators may call this.
         */
        post: operations["postTenantsByIdSuspend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Resumes a suspended tenant
         * @description Platform administrators may call this.
         */
        post: operations["postTenantsByIdResume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/hosts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists a tenant's hosts, and those it has yet to prove
         * @description Whoever is signed in may call this.
         */
        get: operations["getTenantsByIdHosts"];
        put?: never;
        /**
         * Registers a host for a tenant
         * @description Platform administrators register a host at once (201, the tenant). An owner claims one (202): publish the TXT record that the answer names, then ask for `…/verify`. Until then nothing is routed.
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postTenantsByIdHosts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/hosts/{hostname}/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Looks for a host's DNS record, and routes the host to the tenant if it is there
         * @description Whoever is signed in may call this.
         */
        post: operations["postTenantsByIdHostsByHostnameVerify"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/hosts/{hostname}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Takes a host, or the claim to one, from a tenant
         * @description Whoever is signed in may call this.
         */
        delete: operations["deleteTenantsByIdHostsByHostname"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/hosts/{hostname}/certificate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Gives a host its TLS certificate, in place of the one it has
         * @description For servers that end TLS themselves (`TLS_PORT`). New connections have it within a second, on every node.
         *
         *     Whoever is signed in may call this.
         */
        put: operations["putTenantsByIdHostsByHostnameCertificate"];
        post?: never;
        /**
         * Removes a host's TLS certificate
         * @description Whoever is signed in may call this.
         */
        delete: operations["deleteTenantsByIdHostsByHostnameCertificate"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/servers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the PostgreSQL servers that tenants are placed on
         * @description Platform administrators may call this.
         */
        get: operations["getServers"];
        put?: never;
        /**
         * Prepares a PostgreSQL server, and places tenants on it from now on
         * @description Its roles, the database of the main server's name and its tables are made, which takes some seconds. It can be repeated if it failed.
         *
         *     Platform administrators may call this.
         */
        post: operations["postServers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/servers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a server
         * @description Platform administrators may call this.
         */
        get: operations["getServersById"];
        put?: never;
        post?: never;
        /**
         * Forgets a server that nobody is placed on
         * @description What was made on it (the database, its roles) stays there. `lost=true`: it never comes back, so nobody waits until what deleted tenants have on it is erased.
         *
         *     Platform administrators may call this.
         */
        delete: operations["deleteServersById"];
        options?: never;
        head?: never;
        /**
         * Changes a server's URL, its weight, or whether new tenants are placed on it
         * @description A new URL is another password, or where the same databases have moved to; what is placed on the server has to be there. All nodes connect to it from now on, and what runs on the old one may finish. The main server's URL is `DATABASE_URL`.
         *
         *     Platform administrators may call this.
         */
        patch: operations["patchServersById"];
        trace?: never;
    };
    "/api/v1/servers/{id}/tenants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists who is placed on a server, deleted tenants that are not erased yet included
         * @description Platform administrators may call this.
         */
        get: operations["getServersByIdTenants"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/servers/{id}/drain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Places no new tenants on a server, and says who is left
         * @description Whoever names the server when a tenant is made still gets it there.
         *
         *     Platform administrators may call this.
         */
        post: operations["postServersByIdDrain"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists users, newest first
         * @description `q` is looked for in e-mail, username and name, in upper or lower case.
         *
         *     Needs the permission `users:read`.
         */
        get: operations["getUsers"];
        put?: never;
        /**
         * Adds a user, with a role up to your own
         * @description Needs the permission `users:write`. Nobody may call it in the person's stead.
         */
        post: operations["postUsers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Exports users, newest first, as CSV or JSON lines
         * @description Needs the permission `users:read`.
         */
        get: operations["getUsersExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a user
         * @description Needs the permission `users:read`.
         */
        get: operations["getUsersById"];
        put?: never;
        post?: never;
        /**
         * Deletes a user
         * @description Needs the permission `users:write`.
         */
        delete: operations["deleteUsersById"];
        options?: never;
        head?: never;
        /**
         * Changes a user's details, role or status; it counts from their next request on
         * @description Needs the permission `users:write`. Nobody may call it in the person's stead.
         */
        patch: operations["patchUsersById"];
        trace?: never;
    };
    "/api/v1/permissions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists all permissions that there are, with the least system role that holds each
         * @description Needs the permission `roles:read`.
         */
        get: operations["getPermissions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/roles": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists roles: the system roles, most powerful first, then the tenant's own by name
         * @description Needs the permission `roles:read`.
         */
        get: operations["getRoles"];
        put?: never;
        /**
         * Makes a role, of permissions that you hold yourself
         * @description Needs the permission `roles:write`.
         */
        post: operations["postRoles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/roles/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a role
         * @description Needs the permission `roles:read`.
         */
        get: operations["getRolesById"];
        /**
         * Changes a role; it counts from the next request of whoever has it
         * @description Needs the permission `roles:write`. Nobody may call it in the person's stead.
         */
        put: operations["putRolesById"];
        post?: never;
        /**
         * Deletes a role; nobody has it any more
         * @description Needs the permission `roles:write`.
         */
        delete: operations["deleteRolesById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/roles/{id}/permissions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Adds a permission to a role
         * @description Needs the permission `roles:write`. Nobody may call it in the person's stead.
         */
        post: operations["postRolesByIdPermissions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/roles/{id}/permissions/{permission_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Takes a permission out of a role
         * @description Needs the permission `roles:write`.
         */
        delete: operations["deleteRolesByIdPermissionsByPermissionId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}/roles": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists a user's roles: the system role, then the tenant's own
         * @description Needs the permission `roles:read`.
         */
        get: operations["getUsersByIdRoles"];
        put?: never;
        /**
         * Gives a user a role; a system role takes the place of the one they have
         * @description Needs the permission `roles:write`. Nobody may call it in the person's stead.
         */
        post: operations["postUsersByIdRoles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}/roles/{role_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Takes a role away from a user; without a higher system role they are a viewer
         * @description Needs the permission `roles:write`.
         */
        delete: operations["deleteUsersByIdRolesByRoleId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Finishes a log-in that was answered `second_factor_required`
         * @description With the answer's `mfa_token` and one of its `methods`. A wrong code leaves the token as it is; after five of them each next one has to wait longer, wherever it comes from.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthSecondFactor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/second-factor/totp": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begins to set up an app, for a log-in that asks for a factor one does not have
         * @description Anybody may call this.
         */
        post: operations["postAuthSecondFactorTotp"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/second-factor/passkey": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begins to make a passkey, for a log-in that asks for a factor one does not have
         * @description Anybody may call this.
         */
        post: operations["postAuthSecondFactorPasskey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/second-factor/enrolment": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Adds the first factor, and finishes the log-in that asked for one
         * @description Anybody may call this.
         */
        post: operations["postAuthSecondFactorEnrolment"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/passkey/options": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What a browser is to ask for, to log in with a passkey
         * @description Anybody may call this.
         */
        post: operations["postAuthPasskeyOptions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/passkey": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Logs in with a passkey, without a name or a password
         * @description Where a tenant is known, as its user; otherwise as with an account's password. It counts as two factors.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthPasskey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/factors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists one's own factors
         * @description Whoever is signed in may call this.
         */
        get: operations["getAuthFactors"];
        put?: never;
        /**
         * Adds the factor that was begun, now that it works
         * @description An app proves itself with its first code, and takes the place of an app that was there. Ends all sign-ins, and gives a new one to the caller; with the first factor also ten recovery codes.
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postAuthFactors"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/factors/totp": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begins to set up an app that makes codes (RFC 6238)
         * @description Whoever is signed in may call this.
         */
        post: operations["postAuthFactorsTotp"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/factors/passkey": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begins to make a passkey (WebAuthn)
         * @description Whoever is signed in may call this.
         */
        post: operations["postAuthFactorsPasskey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/factors/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Removes a factor; with the last one, the recovery codes too
         * @description Ends all sign-ins, and gives a new one to the caller.
         *
         *     Whoever is signed in may call this.
         */
        delete: operations["deleteAuthFactorsById"];
        options?: never;
        head?: never;
        /**
         * Renames a factor
         * @description Whoever is signed in may call this.
         */
        patch: operations["patchAuthFactorsById"];
        trace?: never;
    };
    "/api/v1/auth/factors/recovery-codes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes ten new recovery codes, in the place of the old ones
         * @description Whoever is signed in may call this.
         */
        post: operations["postAuthFactorsRecoveryCodes"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/reauthenticate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Proves once more who calls, for what asks for a fresh proof; good for ten minutes
         * @description With a factor; whoever has none, with the password.
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postAuthReauthenticate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/reauthenticate/passkey": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What a browser is to ask a passkey for, before `reauthenticate`
         * @description Whoever is signed in may call this.
         */
        post: operations["postAuthReauthenticatePasskey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}/factors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Removes all second factors of a user who has lost them, and ends their sign-ins
         * @description Of a user with a password of their own, by somebody whose role is no lower.
         *
         *     Needs the permission `users:write`. Nobody may call it in the person's stead, and no machine.
         */
        delete: operations["deleteUsersByIdFactors"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/accounts/{id}/factors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Removes all second factors of an account whose owner has lost them
         * @description Platform administrators may call this.
         */
        delete: operations["deleteAccountsByIdFactors"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/api-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the tenant's API keys, newest first
         * @description Needs the permission `api-keys:read`.
         */
        get: operations["getApiKeys"];
        put?: never;
        /**
         * Makes an API key, of permissions that you hold yourself
         * @description The key is sent as `Authorization: Bearer ik_…` or `X-API-Key: ik_…`. It may do what its scopes say as far as its maker may at that moment, and ends with its maker.
         *
         *     Needs the permission `api-keys:write`. Nobody may call it in the person's stead, and no machine.
         */
        post: operations["postApiKeys"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/api-keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revokes an API key, whoever made it; it counts from its next request on
         * @description Needs the permission `api-keys:write`.
         */
        delete: operations["deleteApiKeysById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/client-certificates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the tenant's client certificates and their authorities
         * @description Needs the permission `client-certificates:read`.
         */
        get: operations["getClientCertificates"];
        put?: never;
        /**
         * Registers a client certificate, or an authority that issues them
         * @description A connection that shows the certificate is of this tenant: requests for another are refused. With scopes it is a credential as well.
         *
         *     Needs the permission `client-certificates:manage`. Nobody may call it in the person's stead, and no machine.
         */
        post: operations["postClientCertificates"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/client-certificates/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Removes a client certificate; it counts no more within a second
         * @description Needs the permission `client-certificates:manage`.
         */
        delete: operations["deleteClientCertificatesById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/identity-providers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the OpenID Connect providers by which users may sign in
         * @description Needs the permission `identity-providers:read`.
         */
        get: operations["getIdentityProviders"];
        put?: never;
        /**
         * Adds an OpenID Connect provider
         * @description For owners and administrators. The provider is asked for its document. Register one of `redirect_uris` there. See docs/authentication.md.
         *
         *     Needs the permission `identity-providers:write`. Nobody may call it in the person's stead, and no machine.
         */
        post: operations["postIdentityProviders"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/identity-providers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a provider; its client's secret is never shown
         * @description Needs the permission `identity-providers:read`.
         */
        get: operations["getIdentityProvidersById"];
        put?: never;
        post?: never;
        /**
         * Removes a provider; its users stay, and what they are there is kept
         * @description Needs the permission `identity-providers:write`. Nobody may call it in the person's stead, and no machine.
         */
        delete: operations["deleteIdentityProvidersById"];
        options?: never;
        head?: never;
        /**
         * Changes a provider; it counts from the next sign-in on
         * @description Needs the permission `identity-providers:write`. Nobody may call it in the person's stead, and no machine.
         */
        patch: operations["patchIdentityProvidersById"];
        trace?: never;
    };
    "/api/v1/users/{id}/identities": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists who the user is at identity providers
         * @description Needs the permission `identity-providers:read`.
         */
        get: operations["getUsersByIdIdentities"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}/identities/{identity}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Forgets who the user is at a provider
         * @description Whoever signs in there next with the user's e-mail is linked anew.
         *
         *     Needs the permission `users:write`.
         */
        delete: operations["deleteUsersByIdIdentitiesByIdentity"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/oidc": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the providers by which the tenant's users may sign in, for a log-in page
         * @description Anybody may call this.
         */
        get: operations["getAuthOidc"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/oidc/{provider}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Sends the browser to an identity provider, to sign in there
         * @description For a browser to go to, not for scripts to fetch. It comes back to `return_to` with `code`, for `POST /auth/oidc/exchange`, or with `error` and `error_description`.
         *
         *     Anybody may call this.
         */
        get: operations["getAuthOidcByProviderStart"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/oidc/{provider}/callback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Where the identity provider sends the browser back to
         * @description Anybody may call this.
         */
        get: operations["getAuthOidcByProviderCallback"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/oidc/exchange": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Signs in with the code that came back, and the secret that the page kept
         * @description Anybody may call this.
         */
        post: operations["postAuthOidcExchange"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/impersonations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists impersonations, newest first
         * @description Platform administrators may call this.
         */
        get: operations["getPlatformImpersonations"];
        put?: never;
        /**
         * Acts as a user of a tenant, for at most an hour
         * @description Gives an access token for the tenant, which names the administrator, and no refresh token. What only the person themself may do stays refused. The tenant sees it in its audit log and in `GET /impersonations`.
         *
         *     Platform administrators may call this.
         */
        post: operations["postPlatformImpersonations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/impersonations/{id}/token": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives another access token for one's own impersonation, until it ends
         * @description Platform administrators may call this.
         */
        post: operations["postPlatformImpersonationsByIdToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/impersonations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Ends an impersonation
         * @description Platform administrators may call this.
         */
        delete: operations["deletePlatformImpersonationsById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/impersonations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists who of the platform has acted as a user of the tenant, newest first
         * @description Needs the permission `impersonations:read`.
         */
        get: operations["getImpersonations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/impersonations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Ends an impersonation in the tenant
         * @description Needs the permission `impersonations:end`. Nobody may call it in the person's stead, and no machine.
         */
        delete: operations["deleteImpersonationsById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/email-domains": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the e-mail domains whose people may join the tenant
         * @description Needs the permission `tenants:manage`.
         */
        get: operations["getEmailDomains"];
        put?: never;
        /**
         * Claims an e-mail domain
         * @description Publish the TXT record that the answer names, then ask for `…/verify`. Keep it published: it is looked for whenever somebody joins.
         *
         *     Needs the permission `tenants:manage`. Nobody may call it in the person's stead.
         */
        post: operations["postEmailDomains"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/email-domains/{domain}/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Looks for the DNS record that proves an e-mail domain
         * @description Needs the permission `tenants:manage`. Nobody may call it in the person's stead.
         */
        post: operations["postEmailDomainsByDomainVerify"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/email-domains/{domain}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Removes an e-mail domain; those who joined by it stay
         * @description Needs the permission `tenants:manage`.
         */
        delete: operations["deleteEmailDomainsByDomain"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/join": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes your account a user of a tenant, by the domain of your verified e-mail
         * @description Then `POST /auth/switch` gives a token for the tenant.
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postTenantsByIdJoin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the invitations that are not accepted, newest first
         * @description Needs the permission `users:write`.
         */
        get: operations["getInvitations"];
        put?: never;
        /**
         * Invites somebody by e-mail, to a role up to your own
         * @description The answer is the same whether or not the e-mail has an account or a user; the mail says. The link in it is good for seven days, or the tenant's `invitation_days`. When it is accepted, it gives no more than whoever sent it may give then.
         *
         *     Needs the permission `users:write`. Nobody may call it in the person's stead.
         */
        post: operations["postInvitations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/{id}/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends an invitation again, with a new link; the old ones are void
         * @description From now on it is the caller's, and gives no more than they may give.
         *
         *     Needs the permission `users:write`. Nobody may call it in the person's stead.
         */
        post: operations["postInvitationsByIdResend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revokes an invitation; its links are void
         * @description Needs the permission `users:write`.
         */
        delete: operations["deleteInvitationsById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows whoever has the mail's link what they are invited to
         * @description Anybody may call this.
         */
        get: operations["getInvitationsPreview"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Accepts an invitation, and signs in to the tenant
         * @description Somebody new gives `token` and `password`: they get an account, whose e-mail is verified by that. Whoever has an account with the invitation's e-mail, verified, signs in first, and gives `token` or `invitation_id`.
         *
         *     Anybody may call this.
         */
        post: operations["postInvitationsAccept"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/tenants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the tenants that the account is in, and those that are open to it
         * @description What an e-mail opens is shown once it is verified.
         *
         *     Whoever is signed in may call this.
         */
        get: operations["getAuthTenants"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/leave": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Leaves a tenant: the caller's user there is deleted, and all its sessions end
         * @description Nobody else has to agree, but an owner stays until another one is there. It takes a token of the core or of that tenant, and a proof of the last ten minutes (`/auth/reauthenticate`).
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postTenantsByIdLeave"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/transfer": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives a tenant to another of its users
         * @description For the account that owns it, while it is an active owner there, and for platform administrators. The new owner has to be an active user who is linked to an account, and gets the role `owner`; the old one becomes an admin. Both get a mail. It takes a token of the core or of that tenant, and a proof of the last ten minutes (`/auth/reauthenticate`).
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postTenantsByIdTransfer"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the tenant's audit log, newest first
         * @description Needs the permission `audit:read`.
         */
        get: operations["getAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Exports the tenant's audit log as JSON lines
         * @description Needs the permission `audit:read`.
         */
        get: operations["getAuditExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the platform's audit log, newest first
         * @description Platform administrators may call this.
         */
        get: operations["getPlatformAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/audit/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Exports the platform's audit log as JSON lines
         * @description Platform administrators may call this.
         */
        get: operations["getPlatformAuditExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mails": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists mails and what became of them, newest first
         * @description Where mails are captured and not sent, with their text.
         *
         *     Platform administrators may call this.
         */
        get: operations["getMails"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tenants/{id}/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows what a tenant uses, day by day, and its quotas
         * @description For whoever holds `usage:read` in the tenant, its owner's account, and platform administrators. Days are UTC's, by default the last thirty; at most 400. Other nodes' counts are ten seconds old at most, and what there is (users, rows, storage) was measured within a minute.
         *
         *     Whoever is signed in may call this.
         */
        get: operations["getTenantsByIdUsage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/analytics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows how the platform is used: tenants, activity by day, who uses most
         * @description Days are UTC's, by default the last thirty; at most 92. A tenant is active on a day on which its users made a request; a user, on a day on which they signed in or a session of theirs was renewed. `top` has ten tenants each.
         *
         *     Platform administrators may call this.
         */
        get: operations["getPlatformAnalytics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/templates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the tenant's templates, by name
         * @description Needs the permission `notification-templates:read`.
         */
        get: operations["getNotificationsTemplates"];
        put?: never;
        /**
         * Adds a template
         * @description A template of the name of one of the system's mails (`GET /notifications/templates/system`) takes its place.
         *
         *     Needs the permission `notification-templates:write`.
         */
        post: operations["postNotificationsTemplates"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/templates/system": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the mails that the system sends by itself
         * @description A template of the same name takes a mail's place. Its links and who gets it stay the system's.
         *
         *     Needs the permission `notification-templates:read`.
         */
        get: operations["getNotificationsTemplatesSystem"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/templates/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a template
         * @description Needs the permission `notification-templates:read`.
         */
        get: operations["getNotificationsTemplatesById"];
        put?: never;
        post?: never;
        /**
         * Deletes a template
         * @description Needs the permission `notification-templates:write`.
         */
        delete: operations["deleteNotificationsTemplatesById"];
        options?: never;
        head?: never;
        /**
         * Changes a template
         * @description Needs the permission `notification-templates:write`.
         */
        patch: operations["patchNotificationsTemplatesById"];
        trace?: never;
    };
    "/api/v1/notifications/templates/{id}/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Shows what a template makes, with examples for what is not given
         * @description Other texts can be tried before they are saved.
         *
         *     Needs the permission `notification-templates:read`.
         */
        post: operations["postNotificationsTemplatesByIdPreview"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists notifications and what became of them, newest first
         * @description Needs the permission `notifications:read`.
         */
        get: operations["getNotificationsHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/history/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a notification and what became of it
         * @description Needs the permission `notifications:read`.
         */
        get: operations["getNotificationsHistoryById"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/history/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends a notification again that failed or was suppressed
         * @description Needs the permission `notifications:send`.
         */
        post: operations["postNotificationsHistoryByIdRetry"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/suppressions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the addresses that are not written to, newest first
         * @description Needs the permission `notifications:read`.
         */
        get: operations["getNotificationsSuppressions"];
        put?: never;
        /**
         * Adds an address that is not to be written to
         * @description Mails of the system's own are sent nevertheless: whoever asks for a new password gets it.
         *
         *     Needs the permission `notifications:send`.
         */
        post: operations["postNotificationsSuppressions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/suppressions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Lets an address be written to again
         * @description Needs the permission `notifications:send`.
         */
        delete: operations["deleteNotificationsSuppressionsById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/push/key": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The key with which a browser subscribes (`applicationServerKey`)
         * @description Anybody may call this.
         */
        get: operations["getNotificationsPushKey"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/push/subscriptions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists your browsers that are pushed to
         * @description Whoever is signed in may call this.
         */
        get: operations["getNotificationsPushSubscriptions"];
        put?: never;
        /**
         * Has this browser pushed to
         * @description A browser that was another user's is yours from now on. 20 are kept, the newest.
         *
         *     Whoever is signed in may call this.
         */
        post: operations["postNotificationsPushSubscriptions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/push/subscriptions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Has a browser of yours pushed to no longer
         * @description Whoever is signed in may call this.
         */
        delete: operations["deleteNotificationsPushSubscriptionsById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/email": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends an e-mail, from a template or as it is given
         * @description It is sent soon, at least once; what became of it is in the history. An `Idempotency-Key` keeps a repeated request from sending a second one.
         *
         *     Needs the permission `notifications:send`.
         */
        post: operations["postNotificationsEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/sms": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends a text message, from a template or as it is given
         * @description Needs the permission `notifications:send`.
         */
        post: operations["postNotificationsSms"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/push": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pushes to a device, or to a user's browsers
         * @description Needs the permission `notifications:send`.
         */
        post: operations["postNotificationsPush"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notifications/feedback/sns": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Takes Amazon SES's reports of bounces and complaints
         * @description Messages of the SNS topic `SES_FEEDBACK_TOPIC_ARN`, with Amazon's signature; without that setting it is not there. A subscription is confirmed. What is said twice counts once.
         *
         *     Anybody may call this.
         */
        post: operations["postNotificationsFeedbackSns"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists jobs, newest first
         * @description `data` and `result` of more than 4 KiB are null here, and shown with the job itself. The tenant's; for platform administrators outside a tenant, all. Completed jobs are kept for two days, parked ones for thirty.
         *
         *     Needs the permission `jobs:read`. Platform administrators may call it as well.
         */
        get: operations["getJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a job: how far it is, and what came of it
         * @description Needs the permission `jobs:read`. Platform administrators may call it as well.
         */
        get: operations["getJobsById"];
        put?: never;
        post?: never;
        /**
         * Drops a job
         * @description One that runs is told to stop; whatever it still does, it does not run again.
         *
         *     Needs the permission `jobs:write`. Platform administrators may call it as well.
         */
        delete: operations["deleteJobsById"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Tries a parked job again, at once and as often as at first
         * @description Needs the permission `jobs:write`. Platform administrators may call it as well.
         */
        post: operations["postJobsByIdRetry"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/logs/tickets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes a ticket that opens a log stream once, within half a minute
         * @description Another one replaces it. The stream is good for as long as the session is.
         *
         *     Needs the permission `logs:read`. Platform administrators may call it as well. Nobody may call it in the person's stead, and no machine.
         */
        post: operations["postLogsTickets"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the webhooks, newest first; at most 20
         * @description Needs the permission `webhooks:read`.
         */
        get: operations["getWebhooks"];
        put?: never;
        /**
         * Adds a webhook
         * @description Its address is asked for each event, signed after Standard Webhooks with the `secret` that this answers once. It takes the permission to read what the events are about, now and at each delivery: whoever sets it up answers for it.
         *
         *     Needs the permission `webhooks:write`. Nobody may call it in the person's stead.
         */
        post: operations["postWebhooks"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the events that there are, with the schemas of their data
         * @description A request's body is `{ type, timestamp, data }`; this is about `data`, what the event is about as it is after the change.
         *
         *     Needs the permission `webhooks:read`.
         */
        get: operations["getWebhooksEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a webhook
         * @description Needs the permission `webhooks:read`.
         */
        get: operations["getWebhooksById"];
        put?: never;
        post?: never;
        /**
         * Deletes a webhook, and what is known of its deliveries
         * @description Needs the permission `webhooks:write`.
         */
        delete: operations["deleteWebhooksById"];
        options?: never;
        head?: never;
        /**
         * Changes a webhook, or switches it on or off
         * @description Whoever changes `url` or `events`, or switches it on, answers for it from then on, and has to be permitted to read what its events are about.
         *
         *     Needs the permission `webhooks:write`. Nobody may call it in the person's stead.
         */
        patch: operations["patchWebhooksById"];
        trace?: never;
    };
    "/api/v1/webhooks/{id}/rotate-secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Gives the webhook another secret
         * @description For 24 hours the one before signs too: requests have both signatures. It takes the permission to read what the webhook's events are about.
         *
         *     Needs the permission `webhooks:write`. Nobody may call it in the person's stead.
         */
        post: operations["postWebhooksByIdRotateSecret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends the event `webhook.tested` at once, and says what came of it
         * @description Once, whether or not the webhook is switched on.
         *
         *     Needs the permission `webhooks:write`.
         */
        post: operations["postWebhooksByIdTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists what was sent to a webhook, newest first; for 30 days
         * @description Needs the permission `webhooks:read`.
         */
        get: operations["getWebhooksByIdDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/deliveries/{delivery}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows what was sent to a webhook, with its body
         * @description It takes the permission to read what the event is about.
         *
         *     Needs the permission `webhooks:read`.
         */
        get: operations["getWebhooksByIdDeliveriesByDelivery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends an event once more
         * @description As a delivery of its own, with the same `webhook-id` and body, so that a receiver that had it knows it again.
         *
         *     Needs the permission `webhooks:write`.
         */
        post: operations["postWebhooksByIdDeliveriesByDeliveryRedeliver"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/contacts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists contacts, newest first or by name
         * @description `q` is looked for in name, e-mail, phone and company, in upper or lower case.
         *
         *     Needs the permission `contacts:read`.
         */
        get: operations["getContacts"];
        put?: never;
        /**
         * Adds a contact
         * @description Needs the permission `contacts:write`.
         */
        post: operations["postContacts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/contacts/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Exports contacts, newest first, as CSV or JSON lines
         * @description Needs the permission `contacts:read`.
         */
        get: operations["getContactsExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/contacts/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Imports contacts from CSV: all rows, or none
         * @description The first line names the columns: `name`, and any of `email`, `phone`, `company`, `address`, `age`, `gender`, `notes`; those that only an export has are passed over. In UTF-8, at most 10485760 bytes. If rows are refused, nothing is imported, and the problem has the report as its members.
         *
         *     Needs the permission `contacts:write`.
         */
        post: operations["postContactsImport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/contacts/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a contact
         * @description Needs the permission `contacts:read`.
         */
        get: operations["getContactsById"];
        put?: never;
        post?: never;
        /**
         * Deletes a contact
         * @description Needs the permission `contacts:write`.
         */
        delete: operations["deleteContactsById"];
        options?: never;
        head?: never;
        /**
         * Changes a contact; null clears a field
         * @description Needs the permission `contacts:write`.
         */
        patch: operations["patchContactsById"];
        trace?: never;
    };
    "/api/v1/products": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists products, newest first or by name
         * @description `q` is looked for in name, SKU and description, in upper or lower case.
         *
         *     Needs the permission `products:read`.
         */
        get: operations["getProducts"];
        put?: never;
        /**
         * Adds a product
         * @description Needs the permission `products:write`.
         */
        post: operations["postProducts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/products/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Exports products, newest first, as CSV or JSON lines
         * @description Needs the permission `products:read`.
         */
        get: operations["getProductsExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/products/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a product
         * @description Needs the permission `products:read`.
         */
        get: operations["getProductsById"];
        put?: never;
        post?: never;
        /**
         * Deletes a product that was never ordered
         * @description Needs the permission `products:write`.
         */
        delete: operations["deleteProductsById"];
        options?: never;
        head?: never;
        /**
         * Changes a product; orders keep the price they were made at
         * @description Needs the permission `products:write`.
         */
        patch: operations["patchProductsById"];
        trace?: never;
    };
    "/api/v1/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists orders without their lines, newest first
         * @description Needs the permission `orders:read`.
         */
        get: operations["getOrders"];
        put?: never;
        /**
         * Orders products at their present prices
         * @description Needs the permission `orders:write`.
         */
        post: operations["postOrders"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Exports orders with their lines, newest first, as CSV or JSON lines
         * @description Needs the permission `orders:read`.
         */
        get: operations["getOrdersExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows an order with its lines
         * @description Needs the permission `orders:read`.
         */
        get: operations["getOrdersById"];
        put?: never;
        post?: never;
        /**
         * Deletes an order that is a draft or cancelled
         * @description Needs the permission `orders:write`.
         */
        delete: operations["deleteOrdersById"];
        options?: never;
        head?: never;
        /**
         * Changes an order's status
         * @description draft → placed → paid → shipped; cancelled from each of the first three.
         *
         *     Needs the permission `orders:write`.
         */
        patch: operations["patchOrdersById"];
        trace?: never;
    };
    "/api/v1/documents": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists documents without their content, newest first
         * @description `q` is looked for in title and content, in upper or lower case.
         *
         *     Needs the permission `documents:read`.
         */
        get: operations["getDocuments"];
        put?: never;
        /**
         * Adds a document
         * @description Needs the permission `documents:write`.
         */
        post: operations["postDocuments"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/documents/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Exports documents with their content, newest first, as CSV or JSON lines
         * @description Needs the permission `documents:read`.
         */
        get: operations["getDocumentsExport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/documents/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows a document
         * @description Needs the permission `documents:read`.
         */
        get: operations["getDocumentsById"];
        put?: never;
        post?: never;
        /**
         * Deletes a document
         * @description Needs the permission `documents:write`.
         */
        delete: operations["deleteDocumentsById"];
        options?: never;
        head?: never;
        /**
         * Changes a document
         * @description Needs the permission `documents:write`.
         */
        patch: operations["patchDocumentsById"];
        trace?: never;
    };
    "/api/v1/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists files, newest first
         * @description `q` is looked for in their names. Those whose bytes have not come are `pending`.
         *
         *     Needs the permission `files:read`.
         */
        get: operations["getFiles"];
        put?: never;
        /**
         * Asks for an upload straight to the storage
         * @description Keeps room for the file, and gives the request to send its bytes with; the storage takes no other size or type. Afterwards, `POST /api/v1/files/{id}/confirm`.
         *
         *     Needs the permission `files:write`.
         */
        post: operations["postFiles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/files/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Uploads a file
         * @description A form (`multipart/form-data`): what is to be said of the file, and then its bytes in a part named `file`, at most 100000000. The name and the type are the part's, unless fields say others; a `file_size` is checked. The bytes must fit the type where the type has a signature.
         *
         *     Needs the permission `files:write`.
         */
        post: operations["postFilesUpload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/files/{id}/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Says that a file's bytes are in the storage
         * @description Their size and type are looked up there, not believed. What does not fit is removed. May be repeated.
         *
         *     Needs the permission `files:write`.
         */
        post: operations["postFilesByIdConfirm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/files/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows what is known of a file
         * @description Needs the permission `files:read`.
         */
        get: operations["getFilesById"];
        put?: never;
        post?: never;
        /**
         * Deletes a file
         * @description Needs the permission `files:write`.
         */
        delete: operations["deleteFilesById"];
        options?: never;
        head?: never;
        /**
         * Renames a file, or changes its metadata
         * @description Needs the permission `files:write`.
         */
        patch: operations["patchFilesById"];
        trace?: never;
    };
    "/api/v1/files/{id}/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Leads to a file's bytes
         * @description To a signed URL, which needs no credentials and is good for at most an hour. Pictures, sound, films and plain text may be shown; everything else is an attachment.
         *
         *     Needs the permission `files:read`.
         */
        get: operations["getFilesByIdDownload"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Searches contacts, products, documents and users, the best first
         * @description Of those types whose lists the caller may see. Contacts, products and users are found by a part of what they are found by in their lists; documents by their words, as one types them into a search engine (`"a phrase"`, `or`, `-without`). Where nothing is found, what is similar is: `Hoper` finds Hopper.
         *
         *     Needs the permission `search:read`.
         */
        get: operations["getSearch"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Problem: {
            /**
             * Format: uri
             * @description `urn:insulae:problem:` and the code
             */
            type: string;
            title: string;
            status: number;
            detail?: string;
            /** @description Stable; what a program should look at */
            code: string;
            /** @description Names the request in the server's log */
            request_id: string;
            errors?: {
                /** @description A JSON pointer into the request */
                pointer: string;
                message: string;
            }[];
        };
        Registration: {
            /** @example ada@example.org */
            email: string;
            /** @description 8 to 128 characters, and none that everybody tries first. */
            password: string;
            /** Format: name */
            first_name?: string;
            /** Format: name */
            last_name?: string;
            /** @description a-z, 0-9, then also . _ and -; unique in the tenant, in upper or lower case. */
            username?: string;
            /** @description A tenant's id, key, slug or number. */
            tenant?: string;
            /**
             * @description `token` (the default): tokens in the reply. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` that each change has to send as `X-CSRF-Token`.
             * @enum {string}
             */
            session?: "token" | "cookie";
        };
        Person: {
            /** Format: uuid */
            id: string;
            email: string;
            username?: string | null;
            first_name: string;
            last_name: string;
            role?: string;
            platform_admin?: boolean;
            is_owner?: boolean;
            is_active: boolean;
            email_verified: boolean;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        TenantSummary: {
            /** Format: uuid */
            id: string;
            key: string;
            slug: string;
            number: number;
            name: string;
        };
        SignedIn: {
            /** @description The same as `access_token`. */
            token?: string;
            /** @description Proves who calls, as `Authorization: Bearer …`. Absent where a cookie does. */
            access_token?: string;
            /** @description For `POST /auth/refresh`, once. Absent where a session can't be prolonged. */
            refresh_token?: string;
            /** @constant */
            token_type?: "bearer";
            /** @description For the header `X-CSRF-Token` of each change. Only where a cookie proves who calls. */
            csrf_token?: string;
            /** @description Seconds. */
            expires_in: number;
            user: components["schemas"]["Person"];
            /** @description The tenant that the token is valid in; null: the platform itself. */
            tenant: components["schemas"]["TenantSummary"] | null;
            /** @description Of an account: the tenants to switch to. */
            tenants?: components["schemas"]["TenantSummary"][];
        };
        /** @description Before anybody can log in, the e-mail has to be verified. */
        VerificationPending: {
            /** @constant */
            verification_required: true;
            /** @description Where the mail goes. */
            email: string;
        };
        /** @description With `email` or `username`. */
        LogIn: {
            /** @example ada@example.org */
            email?: string;
            /** @description a-z, 0-9, then also . _ and -; unique in the tenant, in upper or lower case. */
            username?: string;
            password: string;
            /** @description A tenant's id, key, slug or number. */
            tenant?: string;
            /**
             * @description `token` (the default): tokens in the reply. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` that each change has to send as `X-CSRF-Token`.
             * @enum {string}
             */
            session?: "token" | "cookie";
        };
        Refresh: {
            refresh_token: string;
        };
        /** @description `tenant: null` leaves all tenants, for the platform itself. */
        Switch: {
            tenant: string | null;
        };
        Session: {
            /** Format: uuid */
            id: string;
            /** @description How the person has proved who they are (RFC 8176); `mfa`: by two factors. */
            amr: string[];
            /** @description How it is shown: `token`, … */
            kind: string;
            ip: string | null;
            user_agent: string | null;
            /** Format: date-time */
            created_at: string;
            /**
             * Format: date-time
             * @description When it was last refreshed.
             */
            last_used_at: string;
            /** Format: date-time */
            expires_at: string;
            /** @description Whether this request is part of it. */
            current: boolean;
            /** @description Whether an administrator acts as the user. */
            impersonated: boolean;
        };
        Me: {
            user: components["schemas"]["Person"];
            /** @description The tenant that the token is valid in; null: the platform itself. */
            tenant: components["schemas"]["TenantSummary"] | null;
            /** @description Of an account: the tenants to switch to. */
            tenants?: components["schemas"]["TenantSummary"][];
            role?: string;
            permissions: string[];
            /** @description For the header `X-CSRF-Token` of each change. Only where a cookie proves who calls. */
            csrf_token?: string;
            /** @description The administrator of the platform who acts as the user. */
            impersonator?: {
                /** Format: uuid */
                id: string;
                email: string;
            };
        };
        Jwks: {
            keys: {
                [key: string]: unknown;
            }[];
        };
        EmailVerification: {
            /** @description Of the mail's link. */
            token: string;
        };
        Address: {
            /** @example ada@example.org */
            email: string;
            /** @description A tenant's id, key, slug or number. */
            tenant?: string;
        };
        PasswordReset: {
            /** @description Of the mail's link. */
            token: string;
            /** @description 8 to 128 characters, and none that everybody tries first. */
            password: string;
        };
        PasswordChange: {
            current_password: string;
            /** @description 8 to 128 characters, and none that everybody tries first. */
            new_password: string;
        };
        Tenant: {
            /** Format: uuid */
            id: string;
            key: string;
            slug: string;
            number: number;
            name: string;
            /** @enum {string} */
            status: "active" | "suspended";
            plan: string;
            /**
             * @description pool: rows among others'; schema: a schema of its own; database: a database of its own.
             * @enum {string}
             */
            isolation: "pool" | "schema" | "database";
            hosts: string[];
            settings: {
                [key: string]: unknown;
            };
            owner_account_id: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        TenantConfig: {
            /** Format: uuid */
            id: string;
            key: string;
            slug: string;
            name: string;
            /** @enum {string} */
            status: "active" | "suspended";
            plan: string;
            settings: {
                [key: string]: unknown;
            };
        };
        Host: {
            hostname: string;
            /**
             * @description Requests are routed to the tenant once the host is active.
             * @enum {string}
             */
            status: "active" | "pending";
            /** @description The DNS record that proves the host; null where the platform gave it. */
            verification: {
                name: string;
                /** @constant */
                type: "TXT";
                value: string;
            } | null;
            /** @description What the server shows for the host where it ends TLS itself. */
            certificate: {
                /** @description SHA-256, hexadecimal. */
                fingerprint: string;
                /** Format: date-time */
                expires_at: string;
            } | null;
        };
        Server: {
            /** Format: uuid */
            id: string;
            name: string;
            /**
             * @description Its host and port.
             * @example eu.example:5432
             */
            address: string;
            /** @description Its share of new tenants, beside the others' weights. */
            weight: number;
            /** @description Whether new tenants are placed on it. */
            accepting: boolean;
            /** @description False while the node that answers this finds that the server does not answer: its tenants get 503. */
            answers: boolean;
            /** @description How many are placed on it, without deleted ones. */
            tenants: number;
        };
        ServerTenant: {
            /** Format: uuid */
            id: string;
            key: string;
            name: string;
            /**
             * @description deleted: its rows are there until they are erased.
             * @enum {string}
             */
            status: "provisioning" | "active" | "suspended" | "deleted";
            /** @enum {string} */
            isolation: "pool" | "schema" | "database";
            database: string;
            schema: string;
        };
        User: {
            /** Format: uuid */
            id: string;
            email: string;
            username: string | null;
            first_name: string;
            last_name: string;
            role: string;
            is_active: boolean;
            email_verified: boolean;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        NewUser: {
            /** @example ada@example.org */
            email: string;
            username?: string | null;
            /** @description 8 to 128 characters, and none that everybody tries first. */
            password?: string;
            /** Format: name */
            first_name?: string;
            /** Format: name */
            last_name?: string;
            /** @enum {string} */
            role?: "owner" | "admin" | "manager" | "user" | "viewer";
        };
        UserChanges: {
            /** @example ada@example.org */
            email?: string;
            username?: string | null;
            /** Format: name */
            first_name?: string;
            /** Format: name */
            last_name?: string;
            /** @enum {string} */
            role?: "owner" | "admin" | "manager" | "user" | "viewer";
            is_active?: boolean;
        };
        Permission: {
            /** Format: uuid */
            id: string;
            name: string;
            description: string;
            resource: string;
            action: string;
            aliases: string[];
            /**
             * @description The least of the system roles that holds it.
             * @enum {string}
             */
            role: "owner" | "admin" | "manager" | "user" | "viewer";
        };
        /** @description A system role has no times: it was always there. */
        Role: {
            /** Format: uuid */
            id: string;
            name: string;
            description: string;
            is_system_role: boolean;
            /** @description By name. */
            permissions: string[];
            created_at: string | null;
            updated_at: string | null;
        };
        NewRole: {
            /** Format: name */
            name: string;
            description?: string;
            permissions?: string[];
        };
        /** @description What is absent stays as it is. */
        RoleChanges: {
            /** Format: name */
            name?: string;
            description?: string;
            permissions?: string[];
        };
        PermissionToAdd: {
            /**
             * @description A permission's name, alias or id.
             * @example contacts:read
             */
            permission: string;
        };
        RolesOfUser: {
            items: components["schemas"]["Role"][];
        };
        RoleToGive: {
            /** @description A role's id or name. */
            role: string;
        };
        /** @description With `code`, `recovery_code` or `passkey`. */
        SecondFactor: {
            /** @description Of the answer `second_factor_required`. */
            mfa_token: string;
            /**
             * @description What the app shows, once.
             * @example 287082
             */
            code?: string;
            recovery_code?: string;
            /** @description AuthenticationResponseJSON (WebAuthn). */
            passkey?: {
                id: string;
                rawId: string;
                /** @constant */
                type: "public-key";
                clientExtensionResults: {
                    [key: string]: unknown;
                };
                response: {
                    clientDataJSON: string;
                    authenticatorData: string;
                    signature: string;
                    userHandle?: string;
                } & {
                    [key: string]: unknown;
                };
            } & {
                [key: string]: unknown;
            };
        };
        MfaToken: {
            /** @description Of the answer `second_factor_required`. */
            mfa_token: string;
        };
        BegunTotp: {
            /** @description For adding it, with the first code that the app shows; for ten minutes. */
            token: string;
            /** @description Base32, for typing. */
            secret: string;
            /** @description `otpauth://totp/…`, for a QR code. */
            uri: string;
        };
        PasskeyOptions: {
            /** @description Good once, for ten minutes. */
            challenge: string;
        } & {
            [key: string]: unknown;
        };
        /** @description With `totp` or `passkey`. */
        Enrolment: {
            /** @description Of the answer `second_factor_required`. */
            mfa_token: string;
            /** Format: name */
            name?: string;
            totp?: {
                token: string;
                /**
                 * @description What the app shows, once.
                 * @example 287082
                 */
                code: string;
            };
            /** @description RegistrationResponseJSON (WebAuthn). */
            passkey?: {
                id: string;
                rawId: string;
                /** @constant */
                type: "public-key";
                clientExtensionResults: {
                    [key: string]: unknown;
                };
                response: {
                    clientDataJSON: string;
                    attestationObject: string;
                    transports?: string[];
                } & {
                    [key: string]: unknown;
                };
            } & {
                [key: string]: unknown;
            };
        };
        Factor: {
            /** Format: uuid */
            id: string;
            /** @enum {string} */
            kind: "totp" | "passkey";
            name: string;
            /** Format: date-time */
            created_at: string;
            last_used_at: string | null;
        };
        AddedFactor: {
            factor: components["schemas"]["Factor"];
            /** @description With the first factor. They are shown now, and never again. */
            recovery_codes?: string[];
            session: components["schemas"]["SignedIn"];
        };
        PasskeyLogInStart: {
            /** @description A tenant's id, key, slug or number. */
            tenant?: string;
        };
        PasskeyLogIn: {
            /** @description AuthenticationResponseJSON (WebAuthn). */
            passkey: {
                id: string;
                rawId: string;
                /** @constant */
                type: "public-key";
                clientExtensionResults: {
                    [key: string]: unknown;
                };
                response: {
                    clientDataJSON: string;
                    authenticatorData: string;
                    signature: string;
                    userHandle?: string;
                } & {
                    [key: string]: unknown;
                };
            } & {
                [key: string]: unknown;
            };
            /** @description A tenant's id, key, slug or number. */
            tenant?: string;
            /**
             * @description `token` (the default): tokens in the reply. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` that each change has to send as `X-CSRF-Token`.
             * @enum {string}
             */
            session?: "token" | "cookie";
        };
        Factors: {
            items: components["schemas"]["Factor"][];
            recovery_codes_left: number;
        };
        /** @description With `totp` or `passkey`. */
        NewFactor: {
            /** Format: name */
            name?: string;
            totp?: {
                token: string;
                /**
                 * @description What the app shows, once.
                 * @example 287082
                 */
                code: string;
            };
            /** @description RegistrationResponseJSON (WebAuthn). */
            passkey?: {
                id: string;
                rawId: string;
                /** @constant */
                type: "public-key";
                clientExtensionResults: {
                    [key: string]: unknown;
                };
                response: {
                    clientDataJSON: string;
                    attestationObject: string;
                    transports?: string[];
                } & {
                    [key: string]: unknown;
                };
            } & {
                [key: string]: unknown;
            };
        };
        RecoveryCodes: {
            /** @description With the first factor. They are shown now, and never again. */
            recovery_codes: string[];
        };
        /** @description With a factor; whoever has none, with `password`. */
        Reauthentication: {
            password?: string;
            /**
             * @description What the app shows, once.
             * @example 287082
             */
            code?: string;
            recovery_code?: string;
            /** @description AuthenticationResponseJSON (WebAuthn). */
            passkey?: {
                id: string;
                rawId: string;
                /** @constant */
                type: "public-key";
                clientExtensionResults: {
                    [key: string]: unknown;
                };
                response: {
                    clientDataJSON: string;
                    authenticatorData: string;
                    signature: string;
                    userHandle?: string;
                } & {
                    [key: string]: unknown;
                };
            } & {
                [key: string]: unknown;
            };
        };
        ApiKey: {
            /** Format: uuid */
            id: string;
            name: string;
            /** @description What the key begins with. */
            prefix: string;
            /** @description The permissions that it was made for. */
            scopes: string[];
            /**
             * Format: uuid
             * @description Who made it.
             */
            user_id: string;
            expires_at: string | null;
            /** @description To a minute or two. */
            last_used_at: string | null;
            /** Format: date-time */
            created_at: string;
        };
        NewApiKey: {
            /** Format: name */
            name: string;
            scopes: string[];
            expires_at?: string | null;
        };
        MadeApiKey: {
            /** Format: uuid */
            id: string;
            name: string;
            /** @description What the key begins with. */
            prefix: string;
            /** @description The permissions that it was made for. */
            scopes: string[];
            /**
             * Format: uuid
             * @description Who made it.
             */
            user_id: string;
            expires_at: string | null;
            /** @description To a minute or two. */
            last_used_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The key itself. It is shown now, and never again. */
            key: string;
        };
        ClientCertificate: {
            /** Format: uuid */
            id: string;
            name: string;
            /**
             * @description certificate: this one, by its fingerprint; authority: all client certificates that it issues.
             * @enum {string}
             */
            kind: "certificate" | "authority";
            /** @description SHA-256, hexadecimal. */
            fingerprint: string;
            subject: string;
            required_subject: string[];
            user_id: string | null;
            scopes: string[];
            /** Format: date-time */
            valid_from: string;
            /** Format: date-time */
            expires_at: string;
            /** Format: date-time */
            created_at: string;
        };
        IdentityProvider: {
            /** Format: uuid */
            id: string;
            name: string;
            /**
             * @description As the provider names itself, without `/.well-known/…`.
             * @example https://accounts.google.com
             */
            issuer: string;
            client_id: string;
            /** @description Default openid, email, profile. */
            scopes: string[];
            /** @description The domains of the e-mails that may sign in; empty: any. */
            allowed_domains: string[];
            /** @description Believes the provider about e-mails in `allowed_domains` where it does not say `email_verified`. Only for a provider in which nobody can choose their address. */
            trust_email: boolean;
            /** @description Whether somebody unknown becomes a user at the first sign-in; default false. */
            create_users: boolean;
            /**
             * @description A system role; never owner.
             * @enum {string}
             */
            default_role: "admin" | "manager" | "user" | "viewer";
            role_mapping: {
                /**
                 * @description The names that lead to the claim, outermost first.
                 * @example [
                 *       "groups"
                 *     ]
                 * @example [
                 *       "realm_access",
                 *       "roles"
                 *     ]
                 */
                claim: string[];
                values: {
                    value: string;
                    /** @description The name of a system role (never owner), or the id of a role of your own. */
                    role: string;
                }[];
            } | null;
            /** @description Whether each sign-in sets the roles anew, or only the first. */
            update_roles: boolean;
            /** @description The provider always asks for a second factor. */
            trust_second_factor: boolean;
            /** @description Values of `acr` that stand for a second factor; they are asked for as well. */
            second_factor_acr: string[];
            enabled: boolean;
            /** @description What to register at the provider: where it may send browsers back. */
            redirect_uris: string[];
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        NewIdentityProvider: {
            /** Format: name */
            name: string;
            /**
             * @description As the provider names itself, without `/.well-known/…`.
             * @example https://accounts.google.com
             */
            issuer: string;
            client_id: string;
            /** @description Default openid, email, profile. */
            scopes?: string[];
            /** @description The domains of the e-mails that may sign in; empty: any. */
            allowed_domains?: string[];
            /** @description Believes the provider about e-mails in `allowed_domains` where it does not say `email_verified`. Only for a provider in which nobody can choose their address. */
            trust_email?: boolean;
            /** @description Whether somebody unknown becomes a user at the first sign-in; default false. */
            create_users?: boolean;
            /**
             * @description A system role; never owner.
             * @enum {string}
             */
            default_role?: "admin" | "manager" | "user" | "viewer";
            role_mapping?: {
                /**
                 * @description The names that lead to the claim, outermost first.
                 * @example [
                 *       "groups"
                 *     ]
                 * @example [
                 *       "realm_access",
                 *       "roles"
                 *     ]
                 */
                claim: string[];
                values: {
                    value: string;
                    /** @description The name of a system role (never owner), or the id of a role of your own. */
                    role: string;
                }[];
            } | null;
            /** @description Whether each sign-in sets the roles anew, or only the first. */
            update_roles?: boolean;
            /** @description The provider always asks for a second factor. */
            trust_second_factor?: boolean;
            /** @description Values of `acr` that stand for a second factor; they are asked for as well. */
            second_factor_acr?: string[];
            enabled?: boolean;
            /** @description Never shown again. */
            client_secret: string;
        };
        IdentityProviderChanges: {
            /** Format: name */
            name?: string;
            /**
             * @description As the provider names itself, without `/.well-known/…`.
             * @example https://accounts.google.com
             */
            issuer?: string;
            client_id?: string;
            /** @description Default openid, email, profile. */
            scopes?: string[];
            /** @description The domains of the e-mails that may sign in; empty: any. */
            allowed_domains?: string[];
            /** @description Believes the provider about e-mails in `allowed_domains` where it does not say `email_verified`. Only for a provider in which nobody can choose their address. */
            trust_email?: boolean;
            /** @description Whether somebody unknown becomes a user at the first sign-in; default false. */
            create_users?: boolean;
            /**
             * @description A system role; never owner.
             * @enum {string}
             */
            default_role?: "admin" | "manager" | "user" | "viewer";
            role_mapping?: {
                /**
                 * @description The names that lead to the claim, outermost first.
                 * @example [
                 *       "groups"
                 *     ]
                 * @example [
                 *       "realm_access",
                 *       "roles"
                 *     ]
                 */
                claim: string[];
                values: {
                    value: string;
                    /** @description The name of a system role (never owner), or the id of a role of your own. */
                    role: string;
                }[];
            } | null;
            /** @description Whether each sign-in sets the roles anew, or only the first. */
            update_roles?: boolean;
            /** @description The provider always asks for a second factor. */
            trust_second_factor?: boolean;
            /** @description Values of `acr` that stand for a second factor; they are asked for as well. */
            second_factor_acr?: string[];
            enabled?: boolean;
            /** @description Never shown again. */
            client_secret?: string;
        };
        Identity: {
            /** Format: uuid */
            id: string;
            issuer: string;
            /** @description Who they are there. */
            subject: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            last_used_at: string;
        };
        OidcExchange: {
            code: string;
            code_verifier: string;
            /**
             * @description `token` (the default): tokens in the reply. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` that each change has to send as `X-CSRF-Token`.
             * @enum {string}
             */
            session?: "token" | "cookie";
        };
        NewImpersonation: {
            /** @description A tenant's id, key, slug or number. */
            tenant: string;
            /** Format: uuid */
            user_id: string;
            reason: string;
            minutes: number;
        };
        Impersonating: {
            /** @description The same as `access_token`. */
            token?: string;
            /** @description Proves who calls, as `Authorization: Bearer …`. Absent where a cookie does. */
            access_token?: string;
            /** @description For `POST /auth/refresh`, once. Absent where a session can't be prolonged. */
            refresh_token?: string;
            /** @constant */
            token_type?: "bearer";
            /** @description For the header `X-CSRF-Token` of each change. Only where a cookie proves who calls. */
            csrf_token?: string;
            /** @description Seconds. */
            expires_in: number;
            user: components["schemas"]["Person"];
            /** @description The tenant that the token is valid in; null: the platform itself. */
            tenant: components["schemas"]["TenantSummary"] | null;
            /** @description Of an account: the tenants to switch to. */
            tenants?: components["schemas"]["TenantSummary"][];
            /** Format: uuid */
            id: string;
            /** Format: date-time */
            ends_at: string;
        };
        Impersonation: {
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            tenant_id: string;
            /** Format: uuid */
            user_id: string;
            /** Format: uuid */
            administrator_id: string;
            administrator_email: string;
            reason: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            ends_at: string;
            /** @description If before its time. */
            ended_at: string | null;
        };
        EmailDomain: {
            domain: string;
            /**
             * @description What those who join become.
             * @enum {string}
             */
            role: "user" | "viewer";
            /** @enum {string} */
            status: "pending" | "verified";
            verification: {
                name: string;
                /** @constant */
                type: "TXT";
                value: string;
            };
            /** Format: date-time */
            created_at: string;
        };
        Joined: {
            /** Format: uuid */
            tenant_id: string;
            /** Format: uuid */
            user_id: string;
            /**
             * @description What those who join become.
             * @enum {string}
             */
            role: "user" | "viewer";
        };
        Invitation: {
            /** Format: uuid */
            id: string;
            email: string;
            /** @enum {string} */
            role: "owner" | "admin" | "manager" | "user" | "viewer";
            /** @description The tenant's own roles, by name. */
            roles: string[];
            /** @description Who sent it last; null: they are gone, and it has to be sent again. */
            sent_by: string | null;
            /**
             * @description `void`: nobody can accept it, since its sender is gone or the invited is a user already. What is expired or void doesn't keep anybody from being invited again.
             * @enum {string}
             */
            state: "waiting" | "expired" | "void";
            /** Format: date-time */
            expires_at: string;
            /** Format: date-time */
            created_at: string;
        };
        NewInvitation: {
            /** @example ada@example.org */
            email: string;
            /** @enum {string} */
            role?: "owner" | "admin" | "manager" | "user" | "viewer";
            /** @description Roles of the tenant's own to give as well, by id or name. */
            roles?: string[];
        };
        InvitationPreview: {
            /** Format: uuid */
            id: string;
            tenant: components["schemas"]["TenantSummary"];
            /** @enum {string} */
            role: "owner" | "admin" | "manager" | "user" | "viewer";
            /** @description The tenant's own roles, by name. */
            roles: string[];
            /** Format: date-time */
            expires_at: string;
            email: string;
            /** @description Whether to sign in first, instead of registering. */
            has_account: boolean;
        };
        /** @description Whoever is not signed in chooses a password, and has an account then. */
        InvitationAcceptance: {
            /** @description Of the mail's link. */
            token?: string;
            /**
             * Format: uuid
             * @description Instead of the token, for a signed-in account: as `GET /auth/tenants` shows it.
             */
            invitation_id?: string;
            /** @description 8 to 128 characters, and none that everybody tries first. */
            password?: string;
            /** Format: name */
            first_name?: string;
            /** Format: name */
            last_name?: string;
            /**
             * @description `token` (the default): tokens in the reply. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` that each change has to send as `X-CSRF-Token`.
             * @enum {string}
             */
            session?: "token" | "cookie";
        };
        WaitingInvitation: {
            /** Format: uuid */
            id: string;
            tenant: components["schemas"]["TenantSummary"];
            /** @enum {string} */
            role: "owner" | "admin" | "manager" | "user" | "viewer";
            /** @description The tenant's own roles, by name. */
            roles: string[];
            /** Format: date-time */
            expires_at: string;
        };
        OwnTenants: {
            /** @description Where the account is a user: `POST /auth/switch` gives a token. */
            memberships: {
                tenant: components["schemas"]["TenantSummary"];
                /** Format: uuid */
                user_id: string;
                is_owner: boolean;
            }[];
            /** @description By the domain of the verified e-mail: `POST /tenants/{id}/join`. */
            joinable: {
                tenant: components["schemas"]["TenantSummary"];
                domain: string;
                role: string;
            }[];
            /** @description That wait for the verified e-mail: `POST /invitations/accept`. */
            invitations: components["schemas"]["WaitingInvitation"][];
        };
        TenantTransfer: {
            /** Format: uuid */
            user_id: string;
        };
        AuditEntry: {
            /** @description 1, 2, 3 … without a gap, in the order of commits. */
            seq: number;
            /** Format: uuid */
            id: string;
            /** Format: date-time */
            at: string;
            /** @example user.deleted */
            action: string;
            /** @enum {string} */
            outcome: "succeeded" | "failed" | "refused";
            /** @description user, account, api_key, certificate, system or anonymous */
            actor_kind: string;
            actor_id: string | null;
            actor_name: string | null;
            impersonator: string | null;
            target_type: string | null;
            target_id: string | null;
            ip: string | null;
            user_agent: string | null;
            request_id: string | null;
            detail: {
                [key: string]: unknown;
            };
            previous_hash: string | null;
            /** @description SHA-256 over the entry and the hash before it, in hex. */
            hash: string;
        };
        Mail: {
            /** Format: uuid */
            id: string;
            tenant_id: string | null;
            template: string;
            to: string;
            /**
             * @description dropped: there was nothing to send, such as where nobody has this address.
             * @enum {string}
             */
            state: "waiting" | "sent" | "dropped" | "failed";
            attempts: number;
            reason: string | null;
            /** Format: date-time */
            due_at: string;
            /** Format: date-time */
            created_at: string;
            finished_at: string | null;
            captured: {
                subject: string;
                text: string;
                html: string;
            } | null;
        };
        Quota: {
            /** @enum {string} */
            name: "users" | "rows" | "storage_bytes" | "requests_per_day" | "notifications_per_day" | "jobs_per_day";
            limit: number | null;
            used: number;
        };
        UsageSeries: {
            /**
             * @example requests
             * @example users
             * @example storage_bytes
             */
            metric: string;
            /**
             * @description count: what happened in a day. level: what there was at its end.
             * @enum {string}
             */
            kind: "count" | "level";
            total: number | null;
            /** @description Of a count every day, of a level those on which it was measured. */
            points: {
                /**
                 * Format: date
                 * @example 2026-03-01
                 */
                day: string;
                amount: number;
            }[];
        };
        TenantUsage: {
            /** Format: uuid */
            tenant_id: string;
            plan: string;
            /**
             * Format: date
             * @example 2026-03-01
             */
            from: string;
            /**
             * Format: date
             * @example 2026-03-01
             */
            to: string;
            quotas: components["schemas"]["Quota"][];
            series: components["schemas"]["UsageSeries"][];
        };
        PlatformAnalytics: {
            /**
             * Format: date
             * @example 2026-03-01
             */
            from: string;
            /**
             * Format: date
             * @example 2026-03-01
             */
            to: string;
            tenants: {
                total: number;
                by_status: {
                    [key: string]: number;
                };
                by_plan: {
                    [key: string]: number;
                };
                by_isolation: {
                    [key: string]: number;
                };
            };
            /** @description What all tenants have together, by the last measurement of each. */
            levels: {
                users: number;
                rows: number;
                storage_bytes: number;
            };
            days: {
                /**
                 * Format: date
                 * @example 2026-03-01
                 */
                day: string;
                requests: number;
                notifications: number;
                jobs: number;
                active_tenants: number;
                active_users: number;
                new_tenants: number;
                deleted_tenants: number;
            }[];
            top: {
                requests: {
                    /** Format: uuid */
                    tenant_id: string;
                    key: string;
                    name: string;
                    plan: string;
                    amount: number;
                }[];
                users: {
                    /** Format: uuid */
                    tenant_id: string;
                    key: string;
                    name: string;
                    plan: string;
                    amount: number;
                }[];
                rows: {
                    /** Format: uuid */
                    tenant_id: string;
                    key: string;
                    name: string;
                    plan: string;
                    amount: number;
                }[];
                storage_bytes: {
                    /** Format: uuid */
                    tenant_id: string;
                    key: string;
                    name: string;
                    plan: string;
                    amount: number;
                }[];
            };
        };
        NotificationTemplate: {
            /** Format: uuid */
            id: string;
            name: string;
            /** @enum {string} */
            type: "email" | "sms" | "push";
            subject: string | null;
            body: string;
            html: string | null;
            /**
             * @description What the texts may name. Without a `default`, a value has to be given.
             * @example {
             *       "name": {
             *         "example": "Ada"
             *       },
             *       "city": {
             *         "default": "London"
             *       }
             *     }
             */
            variables: {
                [key: string]: {
                    description?: string;
                    default?: string | number | boolean;
                    example?: string | number | boolean;
                };
            };
            is_active: boolean;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        SystemTemplate: {
            name: string;
            /** @description When it is sent. */
            about: string;
            subject: string;
            body: string;
            /** @description What the texts may name, beside `tenant` and `support_email`, with examples. */
            values: {
                [key: string]: unknown;
            };
            /** @description The links, each of which has a paragraph of its own, and what stands on them. */
            links: {
                [key: string]: string;
            };
            /** @description Whether the tenant has a template of this name. */
            overridden: boolean;
        };
        NewNotificationTemplate: {
            /**
             * @description One of the system's own mails, to be overridden, or any other.
             * @example order_shipped
             * @example password_reset
             */
            name: string;
            /** @enum {string} */
            type: "email" | "sms" | "push";
            subject?: string | null;
            /** @description In Liquid. An e-mail's is paragraphs, with empty lines between. */
            body: string;
            html?: string | null;
            /**
             * @description What the texts may name. Without a `default`, a value has to be given.
             * @example {
             *       "name": {
             *         "example": "Ada"
             *       },
             *       "city": {
             *         "default": "London"
             *       }
             *     }
             */
            variables?: {
                [key: string]: {
                    description?: string;
                    default?: string | number | boolean;
                    example?: string | number | boolean;
                };
            };
            is_active?: boolean;
        };
        NotificationTemplateChanges: {
            subject?: string | null;
            /** @description In Liquid. An e-mail's is paragraphs, with empty lines between. */
            body?: string;
            html?: string | null;
            /**
             * @description What the texts may name. Without a `default`, a value has to be given.
             * @example {
             *       "name": {
             *         "example": "Ada"
             *       },
             *       "city": {
             *         "default": "London"
             *       }
             *     }
             */
            variables?: {
                [key: string]: {
                    description?: string;
                    default?: string | number | boolean;
                    example?: string | number | boolean;
                };
            };
            /** @description Of one of the system's own mails: false brings that back. */
            is_active?: boolean;
        };
        NotificationPreview: {
            subject?: string;
            text: string;
            html?: string;
        };
        Notification: {
            /** Format: uuid */
            id: string;
            /** @enum {string} */
            type: "email" | "sms" | "push";
            recipient: string;
            user_id: string | null;
            template_name: string | null;
            subject: string | null;
            /** @enum {string} */
            priority: "low" | "normal" | "high" | "critical";
            /** @enum {string} */
            status: "queued" | "sent" | "failed" | "suppressed" | "bounced" | "complained";
            attempts: number;
            error_message: string | null;
            sent_at: string | null;
            /** Format: date-time */
            created_at: string;
        };
        NotificationSuppression: {
            /** Format: uuid */
            id: string;
            /** @enum {string} */
            type: "email" | "sms" | "push";
            recipient: string;
            /** @enum {string} */
            reason: "bounced" | "complained" | "unsubscribed" | "manual";
            detail: string | null;
            /** Format: date-time */
            created_at: string;
        };
        NewNotificationSuppression: {
            /** @enum {string} */
            type: "email" | "sms" | "push";
            recipient: string;
            /** @enum {string} */
            reason?: "bounced" | "complained" | "unsubscribed" | "manual";
            detail?: string;
        };
        PushSubscription: {
            /** Format: uuid */
            id: string;
            endpoint: string;
            /** Format: date-time */
            created_at: string;
        };
        /** @description As `PushSubscription.toJSON()` makes it. */
        NewPushSubscription: {
            /**
             * Format: uri
             * @description Https, at a public address.
             */
            endpoint: string;
            expirationTime?: number | null;
            keys: {
                p256dh: string;
                auth: string;
            };
        };
        EmailNotification: {
            /** @description An e-mail address. */
            recipient?: string;
            /**
             * Format: uuid
             * @description A user of the tenant, instead of `recipient`.
             */
            user_id?: string;
            template_name?: string;
            /**
             * @description The values of the template's variables.
             * @example {
             *       "name": "Ada"
             *     }
             */
            template_vars?: {
                [key: string]: (string | number | boolean) | (string | number | boolean)[];
            };
            /** @enum {string} */
            priority?: "low" | "normal" | "high" | "critical";
            /** @description Without a template. */
            subject?: string;
            /** @description Without a template: text, in paragraphs. */
            body?: string;
            /** @description Without a template: HTML that you have made safe. */
            html?: string;
        };
        /** @description `message_id` is its id in the history. */
        SentNotification: {
            /** Format: uuid */
            message_id: string;
            /** @enum {string} */
            status: "queued" | "sent" | "failed" | "suppressed" | "bounced" | "complained";
            /** Format: date-time */
            created_at: string;
        };
        SmsNotification: {
            /**
             * @description A telephone number, as E.164 has it; blanks, dots, hyphens and brackets are left out.
             * @example +41791234567
             */
            recipient: string;
            template_name?: string;
            /**
             * @description The values of the template's variables.
             * @example {
             *       "name": "Ada"
             *     }
             */
            template_vars?: {
                [key: string]: (string | number | boolean) | (string | number | boolean)[];
            };
            /** @enum {string} */
            priority?: "low" | "normal" | "high" | "critical";
            /** @description Without a template: the text. */
            body?: string;
        };
        PushNotification: {
            /** @description The token of a device, in ASCII. */
            recipient?: string;
            /**
             * Format: uuid
             * @description A user of the tenant, in all their browsers, instead of `recipient`.
             */
            user_id?: string;
            template_name?: string;
            /**
             * @description The values of the template's variables.
             * @example {
             *       "name": "Ada"
             *     }
             */
            template_vars?: {
                [key: string]: (string | number | boolean) | (string | number | boolean)[];
            };
            /** @enum {string} */
            priority?: "low" | "normal" | "high" | "critical";
            /** @description Without a template: the title. */
            subject?: string;
            /** @description Without a template: the text. */
            body?: string;
        };
        Job: {
            /** Format: uuid */
            id: string;
            tenant_id: string | null;
            /** @example files.clean-up */
            job: string;
            /**
             * @description parked: it has failed too often, or for good, and is tried no more.
             * @enum {string}
             */
            state: "waiting" | "running" | "completed" | "parked";
            /** @description What it works on. */
            data: unknown;
            attempts: number;
            progress: number | null;
            /** @description What it has returned, once it is completed. */
            result: unknown;
            error: string | null;
            /** Format: date-time */
            due_at: string;
            /** Format: date-time */
            created_at: string;
            started_at: string | null;
            finished_at: string | null;
        };
        LogTicket: {
            /** @description Opens one log stream, once. */
            ticket: string;
            /** @description Seconds in which it has to be used. */
            expires_in: number;
        };
        Webhook: {
            /** Format: uuid */
            id: string;
            url: string;
            events: string[];
            description: string | null;
            enabled: boolean;
            /** @description Why the server switched it off: nothing got through for three days, the receiver answered 410, or whoever answers for it (or the key they showed) is gone. */
            disabled_reason: "failing" | "gone" | "maker_gone" | null;
            /** @description Since when nothing gets through; null while it does. */
            failing_since: string | null;
            /** @description The user who answers for it. What they may not read is not sent to it; null for one that was there before this was asked. */
            made_by: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        EventType: {
            name: string;
            /** @description Without it nobody hears of the event. */
            permission: string;
            /** @description The JSON Schema of the event's `data`. */
            schema: {
                [key: string]: unknown;
            };
        };
        NewWebhook: {
            /**
             * Format: uri
             * @description `https` at a public address; nothing that it redirects to is asked.
             * @example https://example.com/webhooks
             */
            url: string;
            /**
             * @description Names of events, as `GET /webhooks/events` lists them, or `*` for all.
             * @example [
             *       "contact.created"
             *     ]
             */
            events: string[];
            description?: string | null;
            /** @description What happens while it is off is not sent to it, and what was waiting waits. Once it is on again, so is the count of its failures. */
            enabled?: boolean;
        };
        MadeWebhook: {
            /** Format: uuid */
            id: string;
            url: string;
            events: string[];
            description: string | null;
            enabled: boolean;
            /** @description Why the server switched it off: nothing got through for three days, the receiver answered 410, or whoever answers for it (or the key they showed) is gone. */
            disabled_reason: "failing" | "gone" | "maker_gone" | null;
            /** @description Since when nothing gets through; null while it does. */
            failing_since: string | null;
            /** @description The user who answers for it. What they may not read is not sent to it; null for one that was there before this was asked. */
            made_by: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
            /** @description What requests are signed with. It is shown now, and never again. */
            secret: string;
        };
        WebhookChanges: {
            /**
             * Format: uri
             * @description `https` at a public address; nothing that it redirects to is asked.
             * @example https://example.com/webhooks
             */
            url?: string;
            /**
             * @description Names of events, as `GET /webhooks/events` lists them, or `*` for all.
             * @example [
             *       "contact.created"
             *     ]
             */
            events?: string[];
            description?: string | null;
            /** @description What happens while it is off is not sent to it, and what was waiting waits. Once it is on again, so is the count of its failures. */
            enabled?: boolean;
        };
        RotatedSecret: {
            /** @description The new secret. It is shown now, and never again. */
            secret: string;
            /**
             * Format: date-time
             * @description Until then the secret before signs too.
             */
            previous_until: string;
        };
        WebhookDelivery: {
            /** Format: uuid */
            id: string;
            /**
             * Format: uuid
             * @description The header `webhook-id`.
             */
            event_id: string;
            /** @description What happened. */
            event: string;
            /** @enum {string} */
            state: "waiting" | "delivered" | "failed";
            attempts: number;
            next_attempt_at: string | null;
            /** @description The last attempt. */
            tried_at: string | null;
            response_status: number | null;
            /** @description The first kilobyte of the last answer. */
            response_excerpt: string | null;
            /** @description Why the last attempt failed. */
            reason: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The body, as it is sent. */
            payload: string;
        };
        WebhookDeliveryHead: {
            /** Format: uuid */
            id: string;
            /**
             * Format: uuid
             * @description The header `webhook-id`.
             */
            event_id: string;
            /** @description What happened. */
            event: string;
            /** @enum {string} */
            state: "waiting" | "delivered" | "failed";
            attempts: number;
            next_attempt_at: string | null;
            /** @description The last attempt. */
            tried_at: string | null;
            response_status: number | null;
            /** @description The first kilobyte of the last answer. */
            response_excerpt: string | null;
            /** @description Why the last attempt failed. */
            reason: string | null;
            /** Format: date-time */
            created_at: string;
        };
        Contact: {
            /** Format: uuid */
            id: string;
            name: string;
            email: string | null;
            phone: string | null;
            company: string | null;
            address: string | null;
            age: number | null;
            gender: string | null;
            notes: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        ImportReport: {
            /** @description In the file, without the line of names. */
            rows: number;
            imported: number;
            refused_rows: number;
            /** @description What is wrong, up to 1000 times. */
            refused: {
                /** @description On which the row begins; the line of names is 1. */
                line: number;
                field: string | null;
                reason: string;
            }[];
        };
        NewContact: {
            /** Format: name */
            name: string;
            email?: string | null;
            phone?: string | null;
            company?: string | null;
            address?: string | null;
            age?: number | null;
            gender?: string | null;
            notes?: string | null;
        };
        ContactChanges: {
            /** Format: name */
            name?: string;
            email?: string | null;
            phone?: string | null;
            company?: string | null;
            address?: string | null;
            age?: number | null;
            gender?: string | null;
            notes?: string | null;
        };
        Product: {
            /** Format: uuid */
            id: string;
            name: string;
            sku: string | null;
            description: string | null;
            /**
             * @description An exact decimal.
             * @example 19.90
             */
            price: string;
            /**
             * @description An ISO 4217 code.
             * @example EUR
             */
            currency: string;
            /** @description Only active products can be ordered. */
            is_active: boolean;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        NewProduct: {
            /** Format: name */
            name: string;
            /**
             * @description An exact decimal.
             * @example 19.90
             */
            price: string;
            sku?: string | null;
            description?: string | null;
            /**
             * @description An ISO 4217 code.
             * @example EUR
             */
            currency?: string;
            is_active?: boolean;
        };
        ProductChanges: {
            /** Format: name */
            name?: string;
            /**
             * @description An exact decimal.
             * @example 19.90
             */
            price?: string;
            sku?: string | null;
            description?: string | null;
            /**
             * @description An ISO 4217 code.
             * @example EUR
             */
            currency?: string;
            is_active?: boolean;
        };
        OrderHead: {
            /** Format: uuid */
            id: string;
            /** @description 1, 2, 3 … within the tenant. */
            number: number;
            user_id: string | null;
            /** @enum {string} */
            status: "draft" | "placed" | "paid" | "shipped" | "cancelled";
            currency: string;
            /**
             * @description An exact decimal.
             * @example 19.90
             */
            total: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        NewOrder: {
            user_id?: string | null;
            lines: {
                /** Format: uuid */
                product_id: string;
                quantity: number;
            }[];
        };
        Order: {
            /** Format: uuid */
            id: string;
            /** @description 1, 2, 3 … within the tenant. */
            number: number;
            user_id: string | null;
            /** @enum {string} */
            status: "draft" | "placed" | "paid" | "shipped" | "cancelled";
            currency: string;
            /**
             * @description An exact decimal.
             * @example 19.90
             */
            total: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
            lines: {
                /** Format: uuid */
                product_id: string;
                quantity: number;
                /**
                 * @description An exact decimal.
                 * @example 19.90
                 */
                unit_price: string;
                /**
                 * @description An exact decimal.
                 * @example 19.90
                 */
                line_total: string;
            }[];
        };
        OrderChanges: {
            /** @enum {string} */
            status: "draft" | "placed" | "paid" | "shipped" | "cancelled";
        };
        DocumentHead: {
            /** Format: uuid */
            id: string;
            title: string;
            created_by: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        NewDocument: {
            /** Format: name */
            title: string;
            content?: string;
        };
        Document: {
            /** Format: uuid */
            id: string;
            title: string;
            created_by: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
            content: string;
        };
        DocumentChanges: {
            /** Format: name */
            title?: string;
            content?: string;
        };
        File: {
            /** Format: uuid */
            id: string;
            user_id: string | null;
            /** @description Where the bytes are in the storage. */
            file_key: string;
            /** @description What people call it; no part of any path. It is kept in its composed form (NFC), and has no control characters, none that turn the direction of text, and none that are not seen. */
            file_name: string;
            /** @description With its parameters, as in `text/plain; charset=utf-8`. */
            mime_type: string;
            /** @description In bytes. */
            file_size: number;
            sha256: string | null;
            /** @description Whatever else is to be known of it, by name. */
            metadata: {
                [key: string]: string;
            };
            /** @enum {string} */
            status: "pending" | "ready";
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        NewFile: {
            /** @description What people call it; no part of any path. It is kept in its composed form (NFC), and has no control characters, none that turn the direction of text, and none that are not seen. */
            file_name: string;
            /** @description In bytes. */
            file_size: number;
            /** @description With its parameters, as in `text/plain; charset=utf-8`. */
            mime_type: string;
            /** @description Whatever else is to be known of it, by name. */
            metadata?: {
                [key: string]: string;
            };
        };
        SignedUpload: {
            file: components["schemas"]["File"];
            upload: {
                /** @enum {string} */
                method: "POST" | "PUT";
                /** @description Where the bytes go; good for this file alone, and for 15 minutes. */
                url: string;
                /** @description Of a PUT, whose body is the bytes. */
                headers: {
                    [key: string]: string;
                };
                /** @description Of a POST, whose body is a form: these, and then the part `file`. */
                fields: {
                    [key: string]: string;
                };
                /** Format: date-time */
                expires_at: string;
            };
        };
        FileChanges: {
            /** @description What people call it; no part of any path. It is kept in its composed form (NFC), and has no control characters, none that turn the direction of text, and none that are not seen. */
            file_name?: string;
            /** @description Whatever else is to be known of it, by name. */
            metadata?: {
                [key: string]: string;
            };
        };
        SearchResult: {
            /** @enum {string} */
            type: "contacts" | "products" | "documents" | "users";
            /** Format: uuid */
            id: string;
            title: string;
            /** @description An e-mail, a SKU; of a document the place that was found, as plain text. */
            detail: string | null;
            score: number;
        };
    };
    responses: {
        /**
         * @description An error. Beside those that it names, a route may answer with the errors of what routes share:
         *
         *     400 `bad_request`: The request is not valid HTTP
         *
         *     400 `validation_failed`: The request does not match the route's schema. Correct the fields in errors.
         *
         *     400 `invalid_cursor`: The cursor does not belong to this list. Start again without one.
         *
         *     400 `invalid_value`: A value is invalid, out of range or too long
         *
         *     400 `invalid_host`: The host name is invalid. Use letters, digits, hyphens and underscores in labels separated by dots, such as shop.example.com, without scheme, path or wildcard.
         *
         *     400 `tenant_required`: The request names no tenant. Name one by host, by the header X-Tenant, or with a tenant's token.
         *
         *     400 `malformed_json`: The body is not valid JSON
         *
         *     401 `authentication_required`: This request needs credentials. Sign in first.
         *
         *     401 `invalid_token`: Invalid or expired token
         *
         *     401 `invalid_client_certificate`: The client certificate is not registered, has expired, or was removed. Ask an administrator to register a valid one.
         *
         *     401 `wrong_context`: This token is not valid here. Tenants' routes need a token of the tenant, all others a token without a tenant.
         *
         *     403 `origin_refused`: Pages of this origin may not call the API. Add the origin to CORS_ORIGINS or the tenant's cors_origins.
         *
         *     403 `csrf_refused`: A change authenticated by a cookie needs the header X-CSRF-Token. Take its value from the log-in or GET /api/v1/auth/me.
         *
         *     403 `permission_denied`: You lack the permission to do this
         *
         *     403 `personal_only`: Only the signed-in person can do this, not an API key, a client certificate or an impersonator
         *
         *     403 `tenant_access_denied`: Tenant access denied
         *
         *     403 `tenant_inactive`: The tenant is suspended. Ask a platform administrator.
         *
         *     404 `tenant_not_found`: There is no such tenant
         *
         *     404 `not_found`: There is nothing at this address. Check the path.
         *
         *     409 `conflict`: This already exists. Change the value that must be unique.
         *
         *     409 `still_referenced`: Other data still refers to this. Delete or change that first.
         *
         *     409 `concurrent_change`: Another request changed this at the same time. Retry.
         *
         *     411 `length_required`: The request does not give its body's length. Send Content-Length.
         *
         *     413 `body_too_large`: The body is too large. Send less at once.
         *
         *     414 `uri_too_long`: The address is too long. Shorten the path or the query.
         *
         *     415 `unsupported_media_type`: The body has an unsupported media type or encoding
         *
         *     421 `misdirected_request`: The TLS connection was made for another host. Open a new connection for this host.
         *
         *     422 `reference_not_found`: The request refers to something that does not exist. Check its ids.
         *
         *     422 `value_refused`: A required value is missing, or a value is not allowed here
         *
         *     429 `rate_limit_exceeded`: Rate limit exceeded
         *
         *     429 `quota_exceeded`: The tenant has used up a quota of its plan
         *
         *     500 `internal_error`: The server failed to handle the request. Report its request_id to the operator.
         *
         *     503 `database_busy`: The database is busy. Retry in a moment.
         *
         *     503 `database_unavailable`: The database cannot be reached. Retry in a moment.
         *
         *     503 `statement_timeout`: The database took too long to answer. Retry later, or ask for less at once.
         *
         *     503 `write_outcome_unknown`: The connection to the database was lost before the outcome of the write was known. Check whether the change was made before you repeat it.
         */
        Problem: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getStorage: {
        parameters: {
            query: {
                /** @description What the URL was signed for. */
                grant: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
            /** @description Done */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
            /** @description Go on elsewhere */
            304: {
                headers: {
                    /** @description Where to go on. */
                    Location: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    putStorage: {
        parameters: {
            query: {
                /** @description What the URL was signed for. */
                grant: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": string;
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthRegister: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Registration"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"] | components["schemas"]["VerificationPending"];
                };
            };
        };
    };
    postAuthLogin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["LogIn"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    postAuthRefresh: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Refresh"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    postAuthSwitch: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Switch"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    postAuthLogout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthLogoutAll: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getAuthSessions: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Session"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    deleteAuthSessionsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getAuthMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Me"];
                };
            };
        };
    };
    postAuthVerifyEmail: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EmailVerification"];
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthResendVerification: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Address"];
            };
        };
        responses: {
            /** @description Done */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthPasswordResetRequest: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Address"];
            };
        };
        responses: {
            /** @description Done */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthPasswordReset: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PasswordReset"];
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthPasswordChange: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PasswordChange"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    getTenants: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                status?: "active" | "suspended";
                /** @description Adds `total`, the number of all matching items. */
                total?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Tenant"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postTenants: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /**
                     * @description Unique; a-z, 0-9, _ and -. The slug, a DNS label, is made from it.
                     * @example acme_corp
                     */
                    key: string;
                    /** Format: name */
                    name: string;
                    /**
                     * @description pool: rows among others'; schema: a schema of its own; database: a database of its own.
                     * @enum {string}
                     */
                    isolation?: "pool" | "schema" | "database";
                    /**
                     * @example free
                     * @example standard
                     * @example premium
                     */
                    plan?: string;
                    hosts?: string[];
                    /** @description At most 32 KiB as JSON. */
                    settings?: {
                        /**
                         * @description Whether strangers may sign up as users of the tenant.
                         * @enum {string}
                         */
                        registration?: "open" | "closed";
                        /**
                         * @description Origins whose pages may use the API at the tenant's hosts, exactly as browsers send them.
                         * @example [
                         *       "https://app.acme.example"
                         *     ]
                         */
                        cors_origins?: string[];
                        /**
                         * @description Whether the tenant's users verify their e-mail before they may log in; default as EMAIL_VERIFICATION says.
                         * @enum {string}
                         */
                        email_verification?: "required" | "optional";
                        /**
                         * @description Off, only owners sign in here by a password: everybody else by an identity provider, a passkey or an invitation. It takes a provider that is enabled, or a passkey. Sessions that are there stay.
                         * @enum {string}
                         */
                        password_login?: "on" | "off";
                        /**
                         * @description Whether everybody who signs in here needs a second factor. Required, it ends the sessions that were made without one.
                         * @enum {string}
                         */
                        second_factor?: "required" | "optional";
                        /** @description For how many days an invitation can be accepted; default 7. */
                        invitation_days?: number;
                        features?: {
                            [key: string]: boolean;
                        };
                        /**
                         * @description For platform administrators; kept where settings are given without. `requests_per_minute`, and each quota by its name (`users`, `storage_bytes`, …), stands in for the plan's; 0: no limit.
                         * @example {
                         *       "requests_per_minute": 5000,
                         *       "users": 50
                         *     }
                         */
                        limits?: {
                            [key: string]: number;
                        };
                        branding?: {
                            [key: string]: string;
                        };
                        /** @description Whatever else an application sets for its tenants. */
                        custom?: {
                            [key: string]: unknown;
                        };
                    };
                    /** @description For platform administrators: where to place it. */
                    server?: string;
                };
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
        };
    };
    getTenantsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    putTenantsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: name */
                    name?: string;
                    /**
                     * @example free
                     * @example standard
                     * @example premium
                     */
                    plan?: string;
                    /** @description At most 32 KiB as JSON. */
                    settings?: {
                        /**
                         * @description Whether strangers may sign up as users of the tenant.
                         * @enum {string}
                         */
                        registration?: "open" | "closed";
                        /**
                         * @description Origins whose pages may use the API at the tenant's hosts, exactly as browsers send them.
                         * @example [
                         *       "https://app.acme.example"
                         *     ]
                         */
                        cors_origins?: string[];
                        /**
                         * @description Whether the tenant's users verify their e-mail before they may log in; default as EMAIL_VERIFICATION says.
                         * @enum {string}
                         */
                        email_verification?: "required" | "optional";
                        /**
                         * @description Off, only owners sign in here by a password: everybody else by an identity provider, a passkey or an invitation. It takes a provider that is enabled, or a passkey. Sessions that are there stay.
                         * @enum {string}
                         */
                        password_login?: "on" | "off";
                        /**
                         * @description Whether everybody who signs in here needs a second factor. Required, it ends the sessions that were made without one.
                         * @enum {string}
                         */
                        second_factor?: "required" | "optional";
                        /** @description For how many days an invitation can be accepted; default 7. */
                        invitation_days?: number;
                        features?: {
                            [key: string]: boolean;
                        };
                        /**
                         * @description For platform administrators; kept where settings are given without. `requests_per_minute`, and each quota by its name (`users`, `storage_bytes`, …), stands in for the plan's; 0: no limit.
                         * @example {
                         *       "requests_per_minute": 5000,
                         *       "users": 50
                         *     }
                         */
                        limits?: {
                            [key: string]: number;
                        };
                        branding?: {
                            [key: string]: string;
                        };
                        /** @description Whatever else an application sets for its tenants. */
                        custom?: {
                            [key: string]: unknown;
                        };
                    };
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
        };
    };
    deleteTenantsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchTenantsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: name */
                    name?: string;
                    /**
                     * @example free
                     * @example standard
                     * @example premium
                     */
                    plan?: string;
                    /** @description At most 32 KiB as JSON. */
                    settings?: {
                        /**
                         * @description Whether strangers may sign up as users of the tenant.
                         * @enum {string}
                         */
                        registration?: "open" | "closed";
                        /**
                         * @description Origins whose pages may use the API at the tenant's hosts, exactly as browsers send them.
                         * @example [
                         *       "https://app.acme.example"
                         *     ]
                         */
                        cors_origins?: string[];
                        /**
                         * @description Whether the tenant's users verify their e-mail before they may log in; default as EMAIL_VERIFICATION says.
                         * @enum {string}
                         */
                        email_verification?: "required" | "optional";
                        /**
                         * @description Off, only owners sign in here by a password: everybody else by an identity provider, a passkey or an invitation. It takes a provider that is enabled, or a passkey. Sessions that are there stay.
                         * @enum {string}
                         */
                        password_login?: "on" | "off";
                        /**
                         * @description Whether everybody who signs in here needs a second factor. Required, it ends the sessions that were made without one.
                         * @enum {string}
                         */
                        second_factor?: "required" | "optional";
                        /** @description For how many days an invitation can be accepted; default 7. */
                        invitation_days?: number;
                        features?: {
                            [key: string]: boolean;
                        };
                        /**
                         * @description For platform administrators; kept where settings are given without. `requests_per_minute`, and each quota by its name (`users`, `storage_bytes`, …), stands in for the plan's; 0: no limit.
                         * @example {
                         *       "requests_per_minute": 5000,
                         *       "users": 50
                         *     }
                         */
                        limits?: {
                            [key: string]: number;
                        };
                        branding?: {
                            [key: string]: string;
                        };
                        /** @description Whatever else an application sets for its tenants. */
                        custom?: {
                            [key: string]: unknown;
                        };
                    };
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
        };
    };
    getTenantsByIdConfig: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TenantConfig"];
                };
            };
        };
    };
    postTenantsByIdSuspend: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
        };
    };
    postTenantsByIdResume: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
        };
    };
    getTenantsByIdHosts: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Host"][];
                    };
                };
            };
        };
    };
    postTenantsByIdHosts: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @example shop.acme.example */
                    hostname: string;
                };
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
            /** @description Done */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Host"];
                };
            };
        };
    };
    postTenantsByIdHostsByHostnameVerify: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
                hostname: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Host"];
                };
            };
        };
    };
    deleteTenantsByIdHostsByHostname: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
                hostname: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    putTenantsByIdHostsByHostnameCertificate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
                hostname: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description PEM: the host's certificate, then those that lead to its authority. */
                    certificate: string;
                    /** @description PEM, not encrypted. It is kept sealed and never shown. */
                    private_key: string;
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Host"];
                };
            };
        };
    };
    deleteTenantsByIdHostsByHostnameCertificate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
                hostname: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getServers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Server"][];
                    };
                };
            };
        };
    };
    postServers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @example eu */
                    name: string;
                    /**
                     * @description The administrator's connection URL. It is kept sealed, and never shown.
                     * @example postgresql://admin:password@eu.example:5432/insulae?sslmode=verify-full
                     */
                    url: string;
                    /**
                     * @description That of PostgreSQL itself, where `url` leads to a connection pooler.
                     * @example postgresql://admin:password@eu.example:5432/insulae?sslmode=verify-full
                     */
                    direct_url?: string;
                    weight?: number;
                };
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Server"];
                };
            };
        };
    };
    getServersById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The server's id or name. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Server"];
                };
            };
        };
    };
    deleteServersById: {
        parameters: {
            query?: {
                lost?: boolean;
            };
            header?: never;
            path: {
                /** @description The server's id or name. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchServersById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The server's id or name. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /**
                     * @description The administrator's connection URL. It is kept sealed, and never shown.
                     * @example postgresql://admin:password@eu.example:5432/insulae?sslmode=verify-full
                     */
                    url?: string;
                    /**
                     * @description That of PostgreSQL itself, where `url` leads to a connection pooler.
                     * @example postgresql://admin:password@eu.example:5432/insulae?sslmode=verify-full
                     */
                    direct_url?: string;
                    weight?: number;
                    accepting?: boolean;
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Server"];
                };
            };
        };
    };
    getServersByIdTenants: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The server's id or name. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["ServerTenant"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postServersByIdDrain: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The server's id or name. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        server: components["schemas"]["Server"];
                        /** @description Who is placed on it: the first 100. `GET /servers/:id/tenants` lists all. */
                        left: components["schemas"]["ServerTenant"][];
                    };
                };
            };
        };
    };
    getUsers: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                /** @description Only items that contain this text. */
                q?: string;
                email?: string;
                role?: "owner" | "admin" | "manager" | "user" | "viewer";
                is_active?: boolean;
                /** @description Adds `total`, the number of all matching items. */
                total?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["User"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postUsers: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewUser"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
        };
    };
    getUsersExport: {
        parameters: {
            query?: {
                /** @description CSV with a line of names, or one JSON object a line. */
                format?: "csv" | "jsonl";
                /** @description Only items that contain this text. */
                q?: string;
                email?: string;
                role?: "owner" | "admin" | "manager" | "user" | "viewer";
                is_active?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                    "application/x-ndjson": string;
                };
            };
        };
    };
    getUsersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteUsersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchUsersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UserChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
        };
    };
    getPermissions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Permission"][];
                    };
                };
            };
        };
    };
    getRoles: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Role"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postRoles: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewRole"];
            };
        };
        responses: {
            /** @description A system role has no times: it was always there. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Role"];
                };
            };
        };
    };
    getRolesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A system role has no times: it was always there. */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Role"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    putRolesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RoleChanges"];
            };
        };
        responses: {
            /** @description A system role has no times: it was always there. */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Role"];
                };
            };
        };
    };
    deleteRolesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postRolesByIdPermissions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PermissionToAdd"];
            };
        };
        responses: {
            /** @description A system role has no times: it was always there. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Role"];
                };
            };
        };
    };
    deleteRolesByIdPermissionsByPermissionId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                /** @description A permission's name, alias or id. */
                permission_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getUsersByIdRoles: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RolesOfUser"];
                };
            };
        };
    };
    postUsersByIdRoles: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RoleToGive"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RolesOfUser"];
                };
            };
        };
    };
    deleteUsersByIdRolesByRoleId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                role_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthSecondFactor: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SecondFactor"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    postAuthSecondFactorTotp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MfaToken"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BegunTotp"];
                };
            };
        };
    };
    postAuthSecondFactorPasskey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MfaToken"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PasskeyOptions"];
                };
            };
        };
    };
    postAuthSecondFactorEnrolment: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Enrolment"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AddedFactor"];
                };
            };
        };
    };
    postAuthPasskeyOptions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PasskeyLogInStart"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PasskeyOptions"];
                };
            };
        };
    };
    postAuthPasskey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PasskeyLogIn"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    getAuthFactors: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Factors"];
                };
            };
        };
    };
    postAuthFactors: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewFactor"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AddedFactor"];
                };
            };
        };
    };
    postAuthFactorsTotp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BegunTotp"];
                };
            };
        };
    };
    postAuthFactorsPasskey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PasskeyOptions"];
                };
            };
        };
    };
    deleteAuthFactorsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    patchAuthFactorsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: name */
                    name: string;
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Factor"];
                };
            };
        };
    };
    postAuthFactorsRecoveryCodes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecoveryCodes"];
                };
            };
        };
    };
    postAuthReauthenticate: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Reauthentication"];
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthReauthenticatePasskey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PasskeyOptions"];
                };
            };
        };
    };
    deleteUsersByIdFactors: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteAccountsByIdFactors: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getApiKeys: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["ApiKey"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postApiKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewApiKey"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MadeApiKey"];
                };
            };
        };
    };
    deleteApiKeysById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getClientCertificates: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["ClientCertificate"][];
                    };
                };
            };
        };
    };
    postClientCertificates: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: name */
                    name: string;
                    /**
                     * @description certificate: this one, by its fingerprint; authority: all client certificates that it issues.
                     * @enum {string}
                     */
                    kind?: "certificate" | "authority";
                    /** @description PEM, one certificate. */
                    certificate: string;
                    /** @description What the subject of a certificate that the authority issued must have. */
                    required_subject?: string[];
                    /** @description Permissions that you hold: whoever shows the certificate acts as you, with no more than these. Without scopes it says which tenant is meant, and nothing else. */
                    scopes?: string[];
                };
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ClientCertificate"];
                };
            };
        };
    };
    deleteClientCertificatesById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getIdentityProviders: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["IdentityProvider"][];
                    };
                };
            };
        };
    };
    postIdentityProviders: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewIdentityProvider"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IdentityProvider"];
                };
            };
        };
    };
    getIdentityProvidersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IdentityProvider"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteIdentityProvidersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchIdentityProvidersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["IdentityProviderChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IdentityProvider"];
                };
            };
        };
    };
    getUsersByIdIdentities: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Identity"][];
                    };
                };
            };
        };
    };
    deleteUsersByIdIdentitiesByIdentity: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                identity: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getAuthOidc: {
        parameters: {
            query?: {
                /** @description A tenant's id, key, slug or number. */
                tenant?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: {
                            /** Format: uuid */
                            id: string;
                            name: string;
                        }[];
                    };
                };
            };
        };
    };
    getAuthOidcByProviderStart: {
        parameters: {
            query: {
                /** @description The page that goes on: of APP_URL, of a host of the tenant, or of an origin that CORS allows. */
                return_to: string;
                /** @description The page makes a secret of 43 to 128 letters, keeps it, and sends its SHA-256 in base64url (S256 of RFC 7636). */
                code_challenge: string;
                /** @description A tenant's id, key, slug or number. */
                tenant?: string;
            };
            header?: never;
            path: {
                provider: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Go on elsewhere */
            302: {
                headers: {
                    /** @description Where to go on. */
                    Location: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getAuthOidcByProviderCallback: {
        parameters: {
            query: {
                state: string;
            };
            header?: never;
            path: {
                provider: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Go on elsewhere */
            302: {
                headers: {
                    /** @description Where to go on. */
                    Location: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postAuthOidcExchange: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OidcExchange"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    getPlatformImpersonations: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Impersonation"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postPlatformImpersonations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewImpersonation"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Impersonating"];
                };
            };
        };
    };
    postPlatformImpersonationsByIdToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Impersonating"];
                };
            };
        };
    };
    deletePlatformImpersonationsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getImpersonations: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Impersonation"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    deleteImpersonationsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getEmailDomains: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["EmailDomain"][];
                    };
                };
            };
        };
    };
    postEmailDomains: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @example acme.example */
                    domain: string;
                    /**
                     * @description What those who join become.
                     * @enum {string}
                     */
                    role?: "user" | "viewer";
                };
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EmailDomain"];
                };
            };
        };
    };
    postEmailDomainsByDomainVerify: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                domain: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EmailDomain"];
                };
            };
        };
    };
    deleteEmailDomainsByDomain: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                domain: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postTenantsByIdJoin: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Joined"];
                };
            };
        };
    };
    getInvitations: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Invitation"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postInvitations: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewInvitation"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Invitation"];
                };
            };
        };
    };
    postInvitationsByIdResend: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Invitation"];
                };
            };
        };
    };
    deleteInvitationsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getInvitationsPreview: {
        parameters: {
            query: {
                /** @description Of the mail's link. */
                token: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvitationPreview"];
                };
            };
        };
    };
    postInvitationsAccept: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["InvitationAcceptance"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    getAuthTenants: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OwnTenants"];
                };
            };
        };
    };
    postTenantsByIdLeave: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postTenantsByIdTransfer: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TenantTransfer"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
        };
    };
    getAudit: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of who did it. */
                actor?: string;
                /** @description The id of what it was. */
                target?: string;
                from?: string;
                /** @description Before this time. */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["AuditEntry"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getAuditExport: {
        parameters: {
            query?: {
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of who did it. */
                actor?: string;
                /** @description The id of what it was. */
                target?: string;
                from?: string;
                /** @description Before this time. */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One entry a line, as JSON, oldest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                };
            };
        };
    };
    getPlatformAudit: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of who did it. */
                actor?: string;
                /** @description The id of what it was. */
                target?: string;
                from?: string;
                /** @description Before this time. */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["AuditEntry"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getPlatformAuditExport: {
        parameters: {
            query?: {
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of who did it. */
                actor?: string;
                /** @description The id of what it was. */
                target?: string;
                from?: string;
                /** @description Before this time. */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One entry a line, as JSON, oldest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                };
            };
        };
    };
    getMails: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                /** @description Only those to this address. */
                to?: string;
                /** @description dropped: there was nothing to send, such as where nobody has this address. */
                state?: "waiting" | "sent" | "dropped" | "failed";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Mail"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getTenantsByIdUsage: {
        parameters: {
            query?: {
                from?: string;
                to?: string;
                /** @description Only this one: `requests`, `users`, `rows`, `storage_bytes` … */
                metric?: string;
            };
            header?: never;
            path: {
                /** @description The tenant's id, key, slug or number. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TenantUsage"];
                };
            };
        };
    };
    getPlatformAnalytics: {
        parameters: {
            query?: {
                from?: string;
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlatformAnalytics"];
                };
            };
        };
    };
    getNotificationsTemplates: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                type?: "email" | "sms" | "push";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["NotificationTemplate"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postNotificationsTemplates: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewNotificationTemplate"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotificationTemplate"];
                };
            };
        };
    };
    getNotificationsTemplatesSystem: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["SystemTemplate"][];
                    };
                };
            };
        };
    };
    getNotificationsTemplatesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotificationTemplate"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteNotificationsTemplatesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchNotificationsTemplatesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NotificationTemplateChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotificationTemplate"];
                };
            };
        };
    };
    postNotificationsTemplatesByIdPreview: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    subject?: string | null;
                    /** @description In Liquid. An e-mail's is paragraphs, with empty lines between. */
                    body?: string;
                    html?: string | null;
                    /**
                     * @description The values of the template's variables.
                     * @example {
                     *       "name": "Ada"
                     *     }
                     */
                    template_vars?: {
                        [key: string]: (string | number | boolean) | (string | number | boolean)[];
                    };
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotificationPreview"];
                };
            };
        };
    };
    getNotificationsHistory: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                type?: "email" | "sms" | "push";
                status?: "queued" | "sent" | "failed" | "suppressed" | "bounced" | "complained";
                recipient?: string;
                user_id?: string;
                template_name?: string;
                from?: string;
                until?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Notification"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getNotificationsHistoryById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Notification"];
                };
            };
        };
    };
    postNotificationsHistoryByIdRetry: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Notification"];
                };
            };
        };
    };
    getNotificationsSuppressions: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                type?: "email" | "sms" | "push";
                recipient?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["NotificationSuppression"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postNotificationsSuppressions: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewNotificationSuppression"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotificationSuppression"];
                };
            };
        };
    };
    deleteNotificationsSuppressionsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getNotificationsPushKey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        public_key: string;
                    };
                };
            };
        };
    };
    getNotificationsPushSubscriptions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["PushSubscription"][];
                    };
                };
            };
        };
    };
    postNotificationsPushSubscriptions: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewPushSubscription"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PushSubscription"];
                };
            };
        };
    };
    deleteNotificationsPushSubscriptionsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postNotificationsEmail: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EmailNotification"];
            };
        };
        responses: {
            /** @description `message_id` is its id in the history. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SentNotification"];
                };
            };
        };
    };
    postNotificationsSms: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SmsNotification"];
            };
        };
        responses: {
            /** @description `message_id` is its id in the history. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SentNotification"];
                };
            };
        };
    };
    postNotificationsPush: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PushNotification"];
            };
        };
        responses: {
            /** @description `message_id` is its id in the history. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SentNotification"];
                };
            };
        };
    };
    postNotificationsFeedbackSns: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "text/plain": string;
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getJobs: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                /** @description parked: it has failed too often, or for good, and is tried no more. */
                state?: "waiting" | "running" | "completed" | "parked";
                /** @description Only those of this name. */
                job?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Job"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getJobsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
        };
    };
    deleteJobsById: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    postJobsByIdRetry: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
        };
    };
    postLogsTickets: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogTicket"];
                };
            };
        };
    };
    getWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Webhook"][];
                    };
                };
            };
        };
    };
    postWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewWebhook"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MadeWebhook"];
                };
            };
        };
    };
    getWebhooksEvents: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["EventType"][];
                    };
                };
            };
        };
    };
    getWebhooksById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteWebhooksById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchWebhooksById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    postWebhooksByIdRotateSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RotatedSecret"];
                };
            };
        };
    };
    postWebhooksByIdTest: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookDelivery"];
                };
            };
        };
    };
    getWebhooksByIdDeliveries: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                state?: "waiting" | "delivered" | "failed";
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["WebhookDeliveryHead"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getWebhooksByIdDeliveriesByDelivery: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                delivery: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookDelivery"];
                };
            };
        };
    };
    postWebhooksByIdDeliveriesByDeliveryRedeliver: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path: {
                id: string;
                delivery: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookDelivery"];
                };
            };
        };
    };
    getContacts: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                /** @description Only items that contain this text. */
                q?: string;
                sort?: "newest" | "name";
                /** @description Adds `total`, the number of all matching items. */
                total?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Contact"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postContacts: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewContact"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Contact"];
                };
            };
        };
    };
    getContactsExport: {
        parameters: {
            query?: {
                /** @description CSV with a line of names, or one JSON object a line. */
                format?: "csv" | "jsonl";
                /** @description Only items that contain this text. */
                q?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                    "application/x-ndjson": string;
                };
            };
        };
    };
    postContactsImport: {
        parameters: {
            query?: {
                /** @description Only says what would happen. */
                dry_run?: boolean;
                /** @description Imports the good rows where others are refused, all of them or none. */
                partial?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "text/csv": string;
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImportReport"];
                };
            };
        };
    };
    getContactsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Contact"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteContactsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchContactsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ContactChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Contact"];
                };
            };
        };
    };
    getProducts: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                /** @description Only items that contain this text. */
                q?: string;
                is_active?: boolean;
                sort?: "newest" | "name";
                /** @description Adds `total`, the number of all matching items. */
                total?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Product"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postProducts: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewProduct"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Product"];
                };
            };
        };
    };
    getProductsExport: {
        parameters: {
            query?: {
                /** @description CSV with a line of names, or one JSON object a line. */
                format?: "csv" | "jsonl";
                /** @description Only items that contain this text. */
                q?: string;
                is_active?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                    "application/x-ndjson": string;
                };
            };
        };
    };
    getProductsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Product"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteProductsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchProductsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProductChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Product"];
                };
            };
        };
    };
    getOrders: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                status?: "draft" | "placed" | "paid" | "shipped" | "cancelled";
                user_id?: string;
                /** @description Adds `total`, the number of all matching items. */
                total?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["OrderHead"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postOrders: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewOrder"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
        };
    };
    getOrdersExport: {
        parameters: {
            query?: {
                /** @description CSV with a line of names, or one JSON object a line. */
                format?: "csv" | "jsonl";
                status?: "draft" | "placed" | "paid" | "shipped" | "cancelled";
                user_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                    "application/x-ndjson": string;
                };
            };
        };
    };
    getOrdersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteOrdersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchOrdersById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OrderChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
        };
    };
    getDocuments: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                /** @description Only items that contain this text. */
                q?: string;
                created_by?: string;
                /** @description Adds `total`, the number of all matching items. */
                total?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["DocumentHead"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postDocuments: {
        parameters: {
            query?: never;
            header?: {
                /** @description A new random text for each thing to create. Sent again with the same body, it gives the first answer again, with `Idempotent-Replayed: true`, for a day. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewDocument"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Document"];
                };
            };
        };
    };
    getDocumentsExport: {
        parameters: {
            query?: {
                /** @description CSV with a line of names, or one JSON object a line. */
                format?: "csv" | "jsonl";
                /** @description Only items that contain this text. */
                q?: string;
                created_by?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                    "application/x-ndjson": string;
                };
            };
        };
    };
    getDocumentsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Document"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteDocumentsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchDocumentsById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DocumentChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Document"];
                };
            };
        };
    };
    getFiles: {
        parameters: {
            query?: {
                /** @description How many items at most. */
                limit?: number;
                /** @description The `next_cursor` of the page before; without it, the first page. */
                cursor?: string;
                /** @description Only items that contain this text. */
                q?: string;
                status?: "ready" | "pending";
                /** @description Adds `total`, the number of all matching items. */
                total?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["File"][];
                        /** @description Asks for the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postFiles: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewFile"];
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedUpload"];
                };
            };
        };
    };
    postFilesUpload: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": {
                    /** @description What people call it; no part of any path. It is kept in its composed form (NFC), and has no control characters, none that turn the direction of text, and none that are not seen. */
                    file_name?: string;
                    /** @description In bytes. */
                    file_size?: number;
                    /** @description With its parameters, as in `text/plain; charset=utf-8`. */
                    mime_type?: string;
                    /** @description Whatever else is to be known of it, by name. */
                    metadata?: {
                        [key: string]: string;
                    };
                    /** @description The file itself, the last part of the form; at most 100000000 bytes. */
                    file: string;
                };
            };
        };
        responses: {
            /** @description Done */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["File"];
                };
            };
        };
    };
    postFilesByIdConfirm: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["File"];
                };
            };
        };
    };
    getFilesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that the client has: if that is what there is, the answer is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["File"];
                };
            };
            /** @description The client has it */
            304: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    deleteFilesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patchFilesById: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` that was read: if it was changed since, nothing is done (412). */
                "If-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FileChanges"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    /** @description Names what is shown; another one after each change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["File"];
                };
            };
        };
    };
    getFilesByIdDownload: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Go on elsewhere */
            302: {
                headers: {
                    /** @description Where to go on. */
                    Location: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getSearch: {
        parameters: {
            query: {
                q: string;
                /** @description Only these; may be given several times. Default all. */
                types?: ("contacts" | "products" | "documents" | "users")[];
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["SearchResult"][];
                    };
                };
            };
        };
    };
}
