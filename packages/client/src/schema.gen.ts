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
         * Downloads a file by a signed URL
         * @description Only if files are stored in a local folder. `GET /api/v1/files/{id}/download` issues the URL. A byte `Range` gets 206, unless `If-Range` differs from the file's `ETag`.
         *
         *     Anybody may call this.
         */
        get: operations["getStorage"];
        /**
         * Uploads a file by a signed URL
         * @description Only if files are stored in a local folder. `POST /api/v1/files` issues the URL; the body is the file, with exactly the size and `Content-Type` given there.
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
         * Registers a user or an account and signs in
         * @description If the request names a tenant (by host, header or `tenant`), this registers a user of that tenant with the role `user`; otherwise it registers a platform account, which may create tenants. If e-mail verification is required, the response contains no tokens and is the same for an address that is already registered; an e-mail says what happened.
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
         * Logs in with an e-mail or a username
         * @description If the request names a tenant (by host, header or `tenant`), this logs in a user of that tenant; otherwise it logs in an account. An account in exactly one tenant gets a token for that tenant, unless `tenant` is null. Any other account gets a token for the platform and the list `tenants` to switch to.
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
         * Exchanges a refresh token (single use) for new tokens
         * @description If the response is lost, the same token returns the same successor for ten seconds. A token presented later than that, or after its successor was used, is treated as stolen: the session ends.
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
         * Opens a session in another tenant of the same account
         * @description Any signed-in caller may call this.
         */
        post: operations["postAuthSwitch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/tenant-tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Issues an access token for a tenant that depends on this session
         * @description For a page that shows several tenants at once, each in a tab with a token of its own. Needs a session at the platform. The token ends with that session, at a log-out too, and in any case after `expires_in`: then ask for another. It cannot be refreshed or exchanged, and cannot change the account's password or factors.
         *
         *     Any signed-in caller may call this.
         */
        post: operations["postAuthTenantTokens"];
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
         * Ends the session and revokes its access tokens, cookie and refresh token
         * @description With a tenant token (`POST /auth/tenant-tokens`) it ends the session at the platform that the token depends on, and with it the tenant tokens of all tabs.
         *
         *     Any signed-in caller may call this.
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
         * Ends all of the caller's sessions, including this one
         * @description For an account: at the platform and in all its tenants.
         *
         *     Any signed-in caller may call this.
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
         * Lists the caller's open sessions here, newest first
         * @description Any signed-in caller may call this.
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
         * Ends one of the caller's sessions
         * @description Any signed-in caller may call this.
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
         * Returns the caller, their tenant and their permissions
         * @description Any signed-in caller may call this.
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
         * Verifies an e-mail with the token from the message
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
         * Resends the verification e-mail
         * @description The response is the same for every address. An e-mail is sent only if the address is registered (with the tenant, if the request names one, otherwise as an account) and not verified yet.
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
         * E-mails a link for setting a new password
         * @description The response is the same for every address. An e-mail is sent only if the address is registered: with the tenant, if the request names one, otherwise as an account.
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
         * Sets a new password with the token from the e-mail
         * @description Ends all sessions and marks the e-mail as verified. For a user linked to an account, this sets the account's password.
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
         * @description Ends all sessions and returns new tokens. For a user linked to an account, this changes the account's password.
         *
         *     Any signed-in caller may call this.
         */
        post: operations["postAuthPasswordChange"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Signs a platform administrator in by a one-time link
         * @description With the token of the link that a server in development prints when it starts, or of `insulae admin link`. It works once, for 15 minutes. The session is a cookie; a second factor is asked for as at log-in.
         *
         *     Anybody may call this.
         */
        post: operations["postAuthStart"];
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
         * Lists tenants
         * @description `q` finds tenants by their id, and by what their key, name or one of their hosts begins with, ignoring case; it looks at the first 1,000 of each. Without `status`, active and suspended tenants are listed; `deleted` lists those whose rows are not erased yet.
         *
         *     Platform administrators may call this.
         */
        get: operations["getTenants"];
        put?: never;
        /**
         * Creates a tenant
         * @description In development anybody may create one: without a credential it belongs to no account. In production it takes an account, which then owns the tenant and is its first user, with the role `owner`. The installation limits how many tenants an account may own (`TENANTS_PER_ACCOUNT`) and the isolation that a plan allows (`PLAN_ISOLATIONS`); platform administrators are exempt.
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
         * Returns a tenant
         * @description Any signed-in caller may call this.
         */
        get: operations["getTenantsById"];
        /**
         * Changes a tenant's name, settings or (platform administrators) plan
         * @description The settings that you give replace all others. `limits` stay unless given.
         *
         *     Any signed-in caller may call this.
         */
        put: operations["putTenantsById"];
        post?: never;
        /**
         * Deletes a tenant. Its rows are erased after the grace period.
         * @description Platform administrators may call this.
         */
        delete: operations["deleteTenantsById"];
        options?: never;
        head?: never;
        /**
         * Changes a tenant's name, settings or (platform administrators) plan
         * @description A setting or group of settings (`features`, `branding`, …) that you give replaces the one of its name; the others stay. `limits` stay unless given.
         *
         *     Any signed-in caller may call this.
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
         * Returns a tenant's name, plan and settings
         * @description Read through Redis, if configured, under the key `tenant:{id}:config`.
         *
         *     Any signed-in caller may call this.
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
         * Lists a tenant's hosts and unproven claims
         * @description Any signed-in caller may call this.
         */
        get: operations["getTenantsByIdHosts"];
        put?: never;
        /**
         * Assigns or claims a host for a tenant
         * @description Platform administrators assign a host at once (201, the tenant). Owners claim one (202): publish the TXT record named in the response, then call `…/verify`. Requests are routed only after that.
         *
         *     Any signed-in caller may call this.
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
         * Verifies a host by its DNS record and routes it to the tenant
         * @description Any signed-in caller may call this.
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
         * Removes a host or a claim from a tenant
         * @description Any signed-in caller may call this.
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
         * Sets a host's TLS certificate
         * @description For servers that terminate TLS themselves (`TLS_PORT`). New connections use it within a second, on every node.
         *
         *     Any signed-in caller may call this.
         */
        put: operations["putTenantsByIdHostsByHostnameCertificate"];
        post?: never;
        /**
         * Removes a host's TLS certificate
         * @description Any signed-in caller may call this.
         */
        delete: operations["deleteTenantsByIdHostsByHostnameCertificate"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/tenants/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns a tenant with its placement, owner and activity
         * @description A deleted tenant, until its rows are erased, is found by its id alone.
         *
         *     Platform administrators may call this.
         */
        get: operations["getPlatformTenantsById"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/tenants/{id}/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Restores a deleted tenant whose rows are not erased yet
         * @description It is active again, with its rows and users. What was given up with it stays so: its hosts, client certificates and e-mail domains.
         *
         *     Platform administrators may call this.
         */
        post: operations["postPlatformTenantsByIdRestore"];
        delete?: never;
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
         * Adds a PostgreSQL server and starts placing tenants on it
         * @description Creates the roles, a database with the name of the main server's, and its tables, which takes some seconds. Safe to repeat after a failure.
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
         * Returns a server
         * @description Platform administrators may call this.
         */
        get: operations["getServersById"];
        put?: never;
        post?: never;
        /**
         * Removes a server without tenants
         * @description The database and roles on it stay. `lost=true`: the server is lost for good, so don't wait until the rows of deleted tenants are erased from it.
         *
         *     Platform administrators may call this.
         */
        delete: operations["deleteServersById"];
        options?: never;
        head?: never;
        /**
         * Changes a server's URL, its weight, or whether new tenants are placed on it
         * @description Use a new URL for a new password, or after moving the same databases; everything placed on the server must be there. All nodes open new connections to it, while running statements finish on the old one. The main server's URL is `DATABASE_URL`.
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
         * Lists the tenants placed on a server, including deleted ones that are not erased yet
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
         * Stops placing new tenants on a server and lists the remaining ones
         * @description A request that creates a tenant and names this server still places it there.
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
    "/api/v1/platform/moves": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the moves of tenants, newest first
         * @description Platform administrators may call this.
         */
        get: operations["getPlatformMoves"];
        put?: never;
        /**
         * Moves a tenant to another isolation or server, while it is used
         * @description A node begins within a second. No acknowledged write is lost; writers wait for a moment at the cut-over, readers never.
         *
         *     Platform administrators may call this.
         */
        post: operations["postPlatformMoves"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/moves/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns a move with its progress
         * @description Platform administrators may call this.
         */
        get: operations["getPlatformMovesById"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/moves/{id}/abort": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Undoes a move that has not cut over
         * @description The tenant stays where it is; what was copied is deleted.
         *
         *     Platform administrators may call this.
         */
        post: operations["postPlatformMovesByIdAbort"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/moves/{id}/revert": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Moves a tenant back to the place that is kept, with everything written since
         * @description Platform administrators may call this.
         */
        post: operations["postPlatformMovesByIdRevert"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/moves/{id}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Deletes the kept source of a move now
         * @description The move can't be reverted any more.
         *
         *     Platform administrators may call this.
         */
        post: operations["postPlatformMovesByIdRelease"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/isolation/probes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Shows with fixed statements that two tenants can't reach each other's rows
         * @description Runs the same count in each tenant's scope and in none, reads and writes the other's rows, and returns the policy that prevents it. Reads at most 1,000 rows a statement, returns none of them, and changes nothing: the write is refused, and would be rolled back.
         *
         *     Platform administrators may call this.
         */
        post: operations["postPlatformIsolationProbes"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/isolation/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Reports on every placement what isolates its tenants, and what is wrong
         * @description Looks at the tables, policies and roles of each placement. `insulae doctor` and the start of a server check the same.
         *
         *     Platform administrators may call this.
         */
        get: operations["getPlatformIsolationReport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/doctor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns what the doctor's checks found: servers, isolation, migrations, leftovers
         * @description What `insulae doctor` checks in an installation that is set up. One run at a time in each process; an answer waits for it for three seconds at most.
         *
         *     Platform administrators may call this.
         */
        get: operations["getPlatformDoctor"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/accounts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists accounts, newest first
         * @description `q` finds accounts by their id, and by what their e-mail, first name or last name begins with, ignoring case; it looks at the first 1,000 of each.
         *
         *     Platform administrators may call this.
         */
        get: operations["getPlatformAccounts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/accounts/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns an account with its memberships, factors and open sessions
         * @description Platform administrators may call this.
         */
        get: operations["getPlatformAccountsById"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Activates or deactivates an account
         * @description Deactivating ends its sessions within a second, at the platform and in all its tenants, and it can't sign in until it is activated. The last active platform administrator can't be deactivated.
         *
         *     Platform administrators may call this.
         */
        patch: operations["patchPlatformAccountsById"];
        trace?: never;
    };
    "/api/v1/platform/accounts/{id}/sessions": {
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
         * Ends all sessions of an account, at the platform and in all its tenants
         * @description Platform administrators may call this.
         */
        delete: operations["deletePlatformAccountsByIdSessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/accounts/{id}/platform-admin": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Makes an account a platform administrator
         * @description Platform administrators may call this.
         */
        put: operations["putPlatformAccountsByIdPlatformAdmin"];
        post?: never;
        /**
         * Makes an account an ordinary one, which is no platform administrator
         * @description Takes effect within a second; impersonations by the account end. The last active one stays.
         *
         *     Platform administrators may call this.
         */
        delete: operations["deletePlatformAccountsByIdPlatformAdmin"];
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
         * @description `q` searches e-mail, username and name, ignoring case.
         *
         *     Needs the permission `users:read`.
         */
        get: operations["getUsers"];
        put?: never;
        /**
         * Adds a user, with a role up to your own
         * @description Needs the permission `users:write`. Not available to impersonators.
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
         * Returns a user
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
         * Changes a user's details, role or status, with effect from their next request
         * @description Needs the permission `users:write`. Not available to impersonators.
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
         * Lists all permissions, each with the lowest system role that holds it
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
         * Creates a role with permissions that you hold yourself
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
         * Returns a role
         * @description Needs the permission `roles:read`.
         */
        get: operations["getRolesById"];
        /**
         * Changes a role, with effect from its holders' next requests
         * @description Needs the permission `roles:write`. Not available to impersonators.
         */
        put: operations["putRolesById"];
        post?: never;
        /**
         * Deletes a role and revokes it from all users
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
         * @description Needs the permission `roles:write`. Not available to impersonators.
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
         * Removes a permission from a role
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
         * Grants a user a role; a system role replaces the current one
         * @description Needs the permission `roles:write`. Not available to impersonators.
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
         * Revokes a role from a user; revoking the system role makes them a viewer
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
         * Completes a log-in after `second_factor_required`
         * @description Send the response's `mfa_token` and one of its `methods`. A wrong code does not use up the token. After five wrong codes the wait doubles with each further one, whatever address they come from.
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
         * Begins setting up an authenticator app during a log-in that requires a factor
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
         * Begins creating a passkey during a log-in that requires a factor
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
         * Adds the first factor and completes the log-in
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
         * Returns the WebAuthn options for logging in with a passkey
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
         * @description If the request names a tenant, this logs in a user of that tenant; otherwise an account, as with its password. A passkey satisfies the second-factor requirement.
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
         * Lists the caller's factors
         * @description Any signed-in caller may call this.
         */
        get: operations["getAuthFactors"];
        put?: never;
        /**
         * Confirms and adds the factor
         * @description An app is confirmed with its first code and replaces any previous app. Ends all sessions and returns a new one; with the first factor, also ten recovery codes.
         *
         *     Any signed-in caller may call this.
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
         * Begins setting up an authenticator app (TOTP, RFC 6238)
         * @description Any signed-in caller may call this.
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
         * Begins creating a passkey (WebAuthn)
         * @description Any signed-in caller may call this.
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
         * Removes a factor, and with the last one the recovery codes
         * @description Ends all sessions and returns a new one.
         *
         *     Any signed-in caller may call this.
         */
        delete: operations["deleteAuthFactorsById"];
        options?: never;
        head?: never;
        /**
         * Renames a factor
         * @description Any signed-in caller may call this.
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
         * Replaces the recovery codes with ten new ones
         * @description Any signed-in caller may call this.
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
         * Re-authenticates the caller for sensitive changes; valid for ten minutes
         * @description With a factor, or with the password if you have none.
         *
         *     Any signed-in caller may call this.
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
         * Returns the WebAuthn options for `reauthenticate`
         * @description Any signed-in caller may call this.
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
         * Removes all second factors of a user and ends their sessions
         * @description For users with a password of their own, who have lost their factors. The caller's role must not be lower than the user's.
         *
         *     Needs the permission `users:write`. Not available to impersonators or machines.
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
         * Removes all second factors of an account and ends its sessions
         * @description Platform administrators may call this.
         */
        delete: operations["deleteAccountsByIdFactors"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/sign-ins": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns when users were last seen, and how they sign in
         * @description Needs the permission `users:write`.
         */
        get: operations["getUsersSignIns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists a user's open sessions in the tenant, newest first
         * @description Sessions at the platform are not among them, nor are the tenant tokens that depend on one.
         *
         *     Needs the permission `users:write`.
         */
        get: operations["getUsersByIdSessions"];
        put?: never;
        post?: never;
        /**
         * Ends all of a user's sessions and tenant tokens in the tenant
         * @description The user can sign in again; deactivate them to prevent that. The caller's role must not be lower than the user's.
         *
         *     Needs the permission `users:write`.
         */
        delete: operations["deleteUsersByIdSessions"];
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
         * Creates an API key with permissions that you hold yourself
         * @description Send the key as `Authorization: Bearer ik_…` or `X-API-Key: ik_…`. It grants those of its scopes that its creator holds at the time of the request, and stops working when the creator is deactivated or deleted.
         *
         *     Needs the permission `api-keys:write`. Not available to impersonators or machines.
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
         * Revokes an API key, whoever created it. The key's next request is refused.
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
         * Lists the tenant's client certificates and certificate authorities
         * @description Needs the permission `client-certificates:read`.
         */
        get: operations["getClientCertificates"];
        put?: never;
        /**
         * Registers a client certificate or a certificate authority
         * @description A connection that presents the certificate belongs to this tenant; requests for another tenant are refused. With scopes, the certificate is a credential too.
         *
         *     Needs the permission `client-certificates:manage`. Not available to impersonators or machines.
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
         * Removes a client certificate. Connections that use it lose access within a second.
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
         * Lists the tenant's OpenID Connect providers
         * @description Needs the permission `identity-providers:read`.
         */
        get: operations["getIdentityProviders"];
        put?: never;
        /**
         * Adds an OpenID Connect provider
         * @description For owners and administrators. The server fetches the provider's discovery document. Register one of `redirect_uris` at the provider. See docs/authentication.md.
         *
         *     Needs the permission `identity-providers:write`. Not available to impersonators or machines.
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
         * Returns a provider without its client secret
         * @description Needs the permission `identity-providers:read`.
         */
        get: operations["getIdentityProvidersById"];
        put?: never;
        post?: never;
        /**
         * Removes a provider. Its users and their linked identities stay.
         * @description Needs the permission `identity-providers:write`. Not available to impersonators or machines.
         */
        delete: operations["deleteIdentityProvidersById"];
        options?: never;
        head?: never;
        /**
         * Changes a provider, with effect from the next sign-in
         * @description Needs the permission `identity-providers:write`. Not available to impersonators or machines.
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
         * Lists the user's linked identities
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
         * Unlinks an identity from a user
         * @description The next person who signs in there with the user's verified e-mail is linked again.
         *
         *     Needs the permission `users:write`.
         */
        delete: operations["deleteUsersByIdIdentitiesByIdentity"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/context": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns what a sign-in page may know before anybody has signed in
         * @description A tenant is shown at its own hosts only. `X-Tenant` makes no difference: otherwise strangers could list tenants by guessing keys.
         *
         *     Anybody may call this.
         */
        get: operations["getAuthContext"];
        put?: never;
        post?: never;
        delete?: never;
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
         * Lists the tenant's identity providers for a log-in page
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
         * Redirects the browser to an identity provider
         * @description Navigate to it; don't fetch it. The browser returns to `return_to` with `code`, for `POST /auth/oidc/exchange`, or with `error` and `error_description`.
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
         * Receives the browser back from the identity provider
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
         * Exchanges the returned code and the page's secret for a session
         * @description Anybody may call this.
         */
        post: operations["postAuthOidcExchange"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/platform/tenants/{id}/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Lists the users of a tenant, newest first, to impersonate one
         * @description `q` searches e-mail, username and name, ignoring case. The tenant sees each request in its audit log.
         *
         *     Platform administrators may call this.
         */
        get: operations["getPlatformTenantsByIdUsers"];
        put?: never;
        post?: never;
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
         * Impersonates a user of a tenant for at most an hour
         * @description Issues an access token for the tenant that names the administrator, and no refresh token. Actions reserved to the person themself stay refused. The tenant sees the impersonation in its audit log and in `GET /impersonations`.
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
         * Issues another access token for the caller's own running impersonation
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
         * Lists impersonations of the tenant's users, newest first
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
         * @description Needs the permission `impersonations:end`. Not available to impersonators or machines.
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
         * @description Publish the TXT record named in the response, then call `…/verify`. Keep the record published: it is checked whenever somebody joins.
         *
         *     Needs the permission `tenants:manage`. Not available to impersonators.
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
         * Verifies an e-mail domain by its DNS record
         * @description Needs the permission `tenants:manage`. Not available to impersonators.
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
         * Removes an e-mail domain. Users who joined by it stay.
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
         * Joins a tenant by the domain of your verified e-mail
         * @description Afterwards, `POST /auth/switch` issues a token for the tenant.
         *
         *     Any signed-in caller may call this.
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
         * Lists open invitations, newest first
         * @description Needs the permission `users:write`.
         */
        get: operations["getInvitations"];
        put?: never;
        /**
         * Invites somebody by e-mail, with a role up to your own
         * @description The response is the same whether or not the e-mail has an account or a user; only the message says. Its link is valid for seven days, or the tenant's `invitation_days`. On acceptance it grants no more than its sender may grant at that time.
         *
         *     Needs the permission `users:write`. Not available to impersonators.
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
         * Resends an invitation with a new link; earlier links become invalid
         * @description The caller becomes its sender: it grants no more than the caller may grant.
         *
         *     Needs the permission `users:write`. Not available to impersonators.
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
         * Revokes an invitation and its links
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
         * Returns the invitation behind the link in the e-mail
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
         * Accepts an invitation and signs in to the tenant
         * @description New people send `token` and `password`; they get an account with a verified e-mail. People with an account whose verified e-mail is the invitation's sign in first and send `token` or `invitation_id`.
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
         * Lists the account's tenants, and those it may join
         * @description Joinable tenants and invitations appear once the e-mail is verified.
         *
         *     Any signed-in caller may call this.
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
         * Leaves a tenant: deletes the caller's user there and ends its sessions
         * @description The last owner cannot leave. Needs a token for the platform or for that tenant, and re-authentication within the last ten minutes (`/auth/reauthenticate`).
         *
         *     Any signed-in caller may call this.
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
         * Transfers a tenant to another of its users
         * @description For the account that owns the tenant, while it is an active owner there, and for platform administrators. The new owner must be an active user linked to an account. They get the role `owner`, the previous owner becomes an admin, and both get an e-mail. Needs a token for the platform or for that tenant, and re-authentication within the last ten minutes (`/auth/reauthenticate`).
         *
         *     Any signed-in caller may call this.
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
         * Lists e-mails and their delivery status, newest first
         * @description Includes the text if e-mails are captured instead of sent.
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
    "/api/v1/mails/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns an e-mail and its delivery status
         * @description Platform administrators may call this.
         */
        get: operations["getMailsById"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mails/{id}/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Returns the HTML of a captured e-mail, for a sandboxed frame
         * @description Platform administrators may call this.
         */
        get: operations["getMailsByIdPreview"];
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
         * Returns a tenant's usage by day and its quotas
         * @description For users with `usage:read`, the owner's account, and platform administrators. Days are in UTC, by default the last thirty, at most 400. Counts of other nodes are at most ten seconds old, levels (users, rows, storage) at most a minute.
         *
         *     Any signed-in caller may call this.
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
         * Returns platform statistics: tenants, daily activity, heaviest users
         * @description Days are in UTC, by default the last thirty, at most 92. A tenant is active on a day if its users made a request; a user, if they signed in or refreshed a session. `top` lists ten tenants for each metric.
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
         * @description A template with the name of a system e-mail (`GET /notifications/templates/system`) overrides it.
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
         * Lists the system e-mails
         * @description A template with the same name overrides the e-mail's texts. Its links and recipients stay the system's.
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
         * Returns a template
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
         * Previews a template with examples for missing values
         * @description Accepts changed texts, so that they can be tried before they are saved.
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
         * Lists notifications and their delivery status, newest first
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
         * Returns a notification and its delivery status
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
         * Resends a notification that failed or was suppressed
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
         * Lists suppressed addresses, newest first
         * @description Needs the permission `notifications:read`.
         */
        get: operations["getNotificationsSuppressions"];
        put?: never;
        /**
         * Suppresses an address
         * @description Notifications to it are no longer sent. System e-mails, such as a password reset, still are.
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
         * Removes an address from the suppressed ones
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
         * Returns the key for a browser's subscription (`applicationServerKey`)
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
         * Lists your push subscriptions
         * @description Any signed-in caller may call this.
         */
        get: operations["getNotificationsPushSubscriptions"];
        put?: never;
        /**
         * Subscribes this browser to push messages
         * @description If another user had subscribed the browser, the subscription becomes yours. Your newest 20 are kept.
         *
         *     Any signed-in caller may call this.
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
         * Deletes one of your push subscriptions
         * @description Any signed-in caller may call this.
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
         * Sends an e-mail, from a template or with the given text
         * @description Queues the e-mail; it is sent at least once, and the history has its delivery status. Send an `Idempotency-Key` so that a repeated request does not send a second one.
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
         * Sends a text message, from a template or with the given text
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
         * Sends a push message to a device or to a user's browsers
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
         * Receives Amazon SES's bounce and complaint reports
         * @description Accepts signed messages of the SNS topic `SES_FEEDBACK_TOPIC_ARN`; without that setting the route does not exist. Confirms subscriptions. Repeated reports have no further effect.
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
         * @description Lists the tenant's jobs; for platform administrators outside a tenant, all jobs. `data` and `result` over 4 KiB are null here; fetch the job to see them. Completed jobs are kept for two days, parked jobs for thirty.
         *
         *     Needs the permission `jobs:read`. Platform administrators may call it too.
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
         * Returns a job with its progress and result
         * @description Needs the permission `jobs:read`. Platform administrators may call it too.
         */
        get: operations["getJobsById"];
        put?: never;
        post?: never;
        /**
         * Drops a job
         * @description A running job is asked to stop. It does not run again.
         *
         *     Needs the permission `jobs:write`. Platform administrators may call it too.
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
         * Retries a parked job at once, with its full number of retries
         * @description Needs the permission `jobs:write`. Platform administrators may call it too.
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
         * Creates a ticket that opens one log stream within half a minute
         * @description A new ticket replaces the previous one. The stream lasts at most as long as the session.
         *
         *     Needs the permission `logs:read`. Platform administrators may call it too. Not available to impersonators or machines.
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
         * @description Each event is sent to its URL, signed as in Standard Webhooks with the `secret` that this response contains, which is shown only once. The caller becomes responsible for the webhook and needs the permissions to read the events' data, now and at each delivery.
         *
         *     Needs the permission `webhooks:write`. Not available to impersonators.
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
         * Lists all events with the schemas of their data
         * @description The body of a webhook request is `{ type, timestamp, data }`. The schemas describe `data`, the object after the change.
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
         * Returns a webhook
         * @description Needs the permission `webhooks:read`.
         */
        get: operations["getWebhooksById"];
        put?: never;
        post?: never;
        /**
         * Deletes a webhook and its deliveries
         * @description Needs the permission `webhooks:write`.
         */
        delete: operations["deleteWebhooksById"];
        options?: never;
        head?: never;
        /**
         * Changes, enables or disables a webhook
         * @description A caller who changes `url` or `events`, or enables the webhook, becomes responsible for it and needs the permissions to read its events' data.
         *
         *     Needs the permission `webhooks:write`. Not available to impersonators.
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
         * Replaces the webhook's secret
         * @description For 24 hours requests carry the signatures of both secrets. Needs the permissions to read the data of the webhook's events.
         *
         *     Needs the permission `webhooks:write`. Not available to impersonators.
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
         * Sends the event `webhook.tested` at once and returns the outcome
         * @description One attempt, even if the webhook is disabled.
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
         * Lists a webhook's deliveries of the last 30 days, newest first
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
         * Returns a delivery with its body
         * @description Needs the permission to read the event's data.
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
         * Sends an event again
         * @description Creates a new delivery with the same `webhook-id` and body, so that the receiver can recognise a duplicate.
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
         * @description `q` searches name, e-mail, phone and company, ignoring case.
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
         * Imports contacts from CSV: all rows or none
         * @description The first line names the columns: `name`, and any of `email`, `phone`, `company`, `address`, `age`, `gender`, `notes`; columns that only an export has are ignored. UTF-8, at most 10485760 bytes. If any row is invalid, nothing is imported and the problem response contains the report.
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
         * Returns a contact
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
         * @description `q` searches name, SKU and description, ignoring case.
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
         * Returns a product
         * @description Needs the permission `products:read`.
         */
        get: operations["getProductsById"];
        put?: never;
        post?: never;
        /**
         * Deletes a product that is not part of any order
         * @description Needs the permission `products:write`.
         */
        delete: operations["deleteProductsById"];
        options?: never;
        head?: never;
        /**
         * Changes a product. Existing orders keep their prices.
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
         * Creates an order at the products' current prices
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
         * Returns an order with its lines
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
         * @description draft → placed → paid → shipped; the first three can be cancelled.
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
         * @description `q` searches title and content, ignoring case.
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
         * Returns a document
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
         * @description `q` searches the names. Files whose upload is not complete are `pending`.
         *
         *     Needs the permission `files:read`.
         */
        get: operations["getFiles"];
        put?: never;
        /**
         * Requests a signed upload directly to the storage
         * @description Reserves quota and returns the signed request to send the content with. The storage accepts exactly this size and type. Afterwards call `POST /api/v1/files/{id}/confirm`.
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
         * @description Send a form (`multipart/form-data`): the metadata fields first, then the content in a part named `file`, at most 100000000 bytes. Name and type default to those of the part; `file_size`, if given, must match. If the type has a known signature, the content must begin with it.
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
         * Confirms a signed upload
         * @description The server checks size and type in the storage and deletes content that does not match. Safe to repeat.
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
         * Returns a file's metadata
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
         * Renames a file or changes its metadata
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
         * Redirects to a file's content
         * @description The redirect leads to a signed URL that needs no credentials and is valid for at most an hour. Browsers may display images, audio, video and plain text; everything else is downloaded.
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
         * Searches contacts, products, documents and users, best matches first
         * @description Searches the types that the caller may list. Contacts, products and users match by part of the same fields as in their lists; documents match by words, in search-engine syntax (`"a phrase"`, `or`, `-without`). If nothing matches, similar names do: `Hoper` finds Hopper.
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
            /** @description Stable. Programs should branch on this. */
            code: string;
            /** @description Identifies the request in the server's log */
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
            /** @description 8 to 128 characters, and not a commonly used password. */
            password: string;
            /** Format: name */
            first_name?: string;
            /** Format: name */
            last_name?: string;
            /** @description a-z and 0-9 and, except at the start, . _ and -; unique in the tenant, ignoring case. */
            username?: string;
            /** @description A tenant's id, key, slug or number. */
            tenant?: string;
            /**
             * @description `token` (the default): tokens in the response. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` to send as `X-CSRF-Token` with every request that changes something.
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
            /** @description Same as `access_token`. */
            token?: string;
            /** @description Send it as `Authorization: Bearer …`. Absent for cookie sessions. */
            access_token?: string;
            /** @description For `POST /auth/refresh`; single use. Absent if the session cannot be refreshed. */
            refresh_token?: string;
            /** @constant */
            token_type?: "bearer";
            /** @description Send it as `X-CSRF-Token` with every request that changes something. Only for cookie sessions. */
            csrf_token?: string;
            /** @description Seconds. */
            expires_in: number;
            user: components["schemas"]["Person"];
            /** @description The tenant for which the token is valid; null: the platform. */
            tenant: components["schemas"]["TenantSummary"] | null;
            /** @description For an account: the tenants it can switch to. */
            tenants?: components["schemas"]["TenantSummary"][];
        };
        /** @description The e-mail must be verified before the first log-in. */
        VerificationPending: {
            /** @constant */
            verification_required: true;
            /** @description The address that the e-mail is sent to. */
            email: string;
        };
        /** @description With `email` or `username`. `tenant: null` logs in an account at the platform, outside all tenants. */
        LogIn: {
            /** @example ada@example.org */
            email?: string;
            /** @description a-z and 0-9 and, except at the start, . _ and -; unique in the tenant, ignoring case. */
            username?: string;
            password: string;
            tenant?: string | null;
            /**
             * @description `token` (the default): tokens in the response. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` to send as `X-CSRF-Token` with every request that changes something.
             * @enum {string}
             */
            session?: "token" | "cookie";
        };
        Refresh: {
            refresh_token: string;
        };
        /** @description `tenant: null` switches to the platform, outside all tenants. */
        Switch: {
            tenant: string | null;
        };
        TenantTokenRequest: {
            /** @description A tenant's id, key, slug or number. */
            tenant: string;
        };
        TenantToken: {
            /** @description Send it as `Authorization: Bearer …`, from this tab only. */
            access_token: string;
            /** @constant */
            token_type: "Bearer";
            /** @description Seconds. */
            expires_in: number;
            tenant: components["schemas"]["TenantSummary"];
            /** @description The caller's in the tenant, as they are now. */
            permissions: string[];
        };
        Session: {
            /** Format: uuid */
            id: string;
            /** @description How the person authenticated (RFC 8176); `mfa`: with two factors. */
            amr: string[];
            /** @description How the client presents it: `token` or `cookie`. */
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
            /** @description Whether this request uses it. */
            current: boolean;
            /** @description Whether an administrator is impersonating the user. */
            impersonated: boolean;
        };
        Me: {
            user: components["schemas"]["Person"];
            /** @description The tenant for which the token is valid; null: the platform. */
            tenant: components["schemas"]["TenantSummary"] | null;
            /** @description For an account: the tenants it can switch to. */
            tenants?: components["schemas"]["TenantSummary"][];
            role?: string;
            permissions: string[];
            /** @description Send it as `X-CSRF-Token` with every request that changes something. Only for cookie sessions. */
            csrf_token?: string;
            /** @description The platform administrator who is impersonating the user. */
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
            /** @description The token from the link in the e-mail. */
            token: string;
        };
        Address: {
            /** @example ada@example.org */
            email: string;
            /** @description A tenant's id, key, slug or number. */
            tenant?: string;
        };
        PasswordReset: {
            /** @description The token from the link in the e-mail. */
            token: string;
            /** @description 8 to 128 characters, and not a commonly used password. */
            password: string;
        };
        PasswordChange: {
            current_password: string;
            /** @description 8 to 128 characters, and not a commonly used password. */
            new_password: string;
        };
        StartLink: {
            /** @description The link's token. */
            token: string;
        };
        Tenant: {
            /** Format: uuid */
            id: string;
            key: string;
            slug: string;
            number: number;
            name: string;
            /**
             * @description `deleted`: only in lists and details for platform administrators.
             * @enum {string}
             */
            status: "active" | "suspended" | "deleted";
            plan: string;
            /**
             * @description pool: tables shared with other tenants; schema: its own schema; database: its own database.
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
            /** Format: date-time */
            deleted_at?: string;
            /**
             * Format: date-time
             * @description When a deleted tenant's rows are erased; until then it can be restored.
             */
            erase_at?: string;
        };
        TenantConfig: {
            /** Format: uuid */
            id: string;
            key: string;
            slug: string;
            name: string;
            /**
             * @description `deleted`: only in lists and details for platform administrators.
             * @enum {string}
             */
            status: "active" | "suspended" | "deleted";
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
            /** @description The DNS record that proves the host; null if the platform assigned it. */
            verification: {
                name: string;
                /** @constant */
                type: "TXT";
                value: string;
            } | null;
            /** @description The host's certificate, for servers that terminate TLS themselves. */
            certificate: {
                /** @description SHA-256, hexadecimal. */
                fingerprint: string;
                /** Format: date-time */
                expires_at: string;
            } | null;
        };
        TenantDetail: {
            /** Format: uuid */
            id: string;
            key: string;
            slug: string;
            number: number;
            name: string;
            /**
             * @description `deleted`: only in lists and details for platform administrators.
             * @enum {string}
             */
            status: "active" | "suspended" | "deleted";
            plan: string;
            /**
             * @description pool: tables shared with other tenants; schema: its own schema; database: its own database.
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
            /** Format: date-time */
            deleted_at?: string;
            /**
             * Format: date-time
             * @description When a deleted tenant's rows are erased; until then it can be restored.
             */
            erase_at?: string;
            placement: {
                server: string;
                database: string;
                schema: string;
                /** @description The number of migrations that it has. */
                version: number;
            };
            owner: {
                /** Format: uuid */
                id: string;
                email: string;
            } | null;
            users: number | null;
            /** @description Open ones; at most 10,000. */
            sessions: number;
            /** @description When one of its sessions was last opened or refreshed. */
            last_request_at: string | null;
        };
        Server: {
            /** Format: uuid */
            id: string;
            name: string;
            /**
             * @description Host and port.
             * @example eu.example:5432
             */
            address: string;
            /** @description The server's share of new tenants, relative to the other weights. */
            weight: number;
            /** @description Whether new tenants are placed on it. */
            accepting: boolean;
            /** @description False while the responding node cannot reach the server; the server's tenants get 503. */
            answers: boolean;
            /** @description The number of tenants placed on it, without deleted ones. */
            tenants: number;
        };
        ServerTenant: {
            /** Format: uuid */
            id: string;
            key: string;
            name: string;
            /**
             * @description deleted: its rows are still on the server until they are erased.
             * @enum {string}
             */
            status: "provisioning" | "active" | "suspended" | "deleted";
            /** @enum {string} */
            isolation: "pool" | "schema" | "database";
            database: string;
            schema: string;
        };
        MovePlace: {
            /** @description The server's name. */
            server: string;
            /** @enum {string} */
            isolation: "pool" | "schema" | "database";
            database?: string;
            schema?: string;
        };
        Move: {
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            tenant_id: string;
            /** @enum {string} */
            kind: "move" | "restore" | "revert";
            /**
             * @description planned, capturing, copying, following, closing (writers wait), switched (the tenant is at the target), kept (the source is kept behind its fence), clearing, done; undoing, aborted.
             * @enum {string}
             */
            state: "planned" | "capturing" | "copying" | "following" | "closing" | "switched" | "kept" | "clearing" | "undoing" | "done" | "aborted";
            source: components["schemas"]["MovePlace"];
            target: components["schemas"]["MovePlace"];
            progress: {
                /** @description Rows copied so far. */
                rows?: number;
                /** @description Rows that there were when copying began. */
                rows_total?: number;
                /** @description The table that was copied last. */
                table?: string;
                /** @description Changed rows that the last round moved: how far the target is behind. */
                lag_rows?: number;
                /** @description Rounds so far. */
                rounds?: number;
                /** @description For how long writers would wait if it cut over now. */
                estimated_pause_ms?: number;
            };
            /** @description What has been measured so far. */
            report: {
                /** @description Tables. */
                tables?: number;
                /** @description Rows copied before the changes since. */
                rows?: number;
                /** @description How long copying took. */
                copy_ms?: number;
                /** @description Rows copied per second. */
                rows_per_second?: number;
                /** @description Rows compared, by counts and sums, while the tenant wrote. */
                compared_before?: number;
                /** @description Rows compared as they were at the cut-over. */
                compared_at_cut_over?: number;
                /** @description For how long writers waited at the cut-over. */
                pause_ms?: number;
                /** @description Of the pause: for the locks. */
                lock_ms?: number;
                /** @description Of the pause: for the last round. */
                round_ms?: number;
                /** @description Of the pause: for the control plane. */
                commit_ms?: number;
                /** @description How often the cut-over was tried. */
                lock_attempts?: number;
                /** @description Changed rows that moved while writers waited. */
                moved_in_pause?: number;
            };
            /** @description Failed attempts in the present state. */
            attempts: number;
            abort_wanted: boolean;
            error: string | null;
            /** @description Until when the source is kept; revert is possible until then. */
            keep_until: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            state_at: string;
        };
        PlacementPlace: {
            /** Format: uuid */
            id: string;
            /** @description The server's name. */
            server: string;
            database: string;
            schema: string;
            /** @enum {string} */
            isolation: "pool" | "schema" | "database";
        };
        IsolationProbe: {
            name: string;
            /** @description The statement, word for word. */
            sql: string;
            parameters: string[];
            /**
             * @description The tenant in whose scope it ran; `none`: in no scope.
             * @enum {string}
             */
            scope: "a" | "b" | "none";
            placement: components["schemas"]["PlacementPlace"];
            rows: number | null;
            sqlstate: string | null;
            message: string | null;
            passed: boolean;
            explanation: string;
        };
        IsolationPolicy: {
            placement: components["schemas"]["PlacementPlace"];
            table: string;
            policies: {
                name: string;
                permissive: boolean;
                command: string;
                using: string | null;
                with_check: string | null;
            }[];
            /** @description Row-Level Security is on. */
            enabled: boolean;
            /** @description It holds for the table's owner too. */
            forced: boolean;
            owner: string;
            /** @description The role that the tenants' statements run as. */
            role: string;
            /** @description Whether that role is exempt from the policies. */
            bypasses: boolean;
            passed: boolean;
        };
        IsolationProbes: {
            passed: boolean;
            probes: components["schemas"]["IsolationProbe"][];
            policies: components["schemas"]["IsolationPolicy"][];
        };
        IsolationReport: {
            /** Format: uuid */
            id: string;
            /** @description The server's name. */
            server: string;
            database: string;
            schema: string;
            /** @enum {string} */
            isolation: "pool" | "schema" | "database";
            /** @description It was looked at, and nothing is wrong. */
            isolated: boolean;
            problems: {
                object: string;
                problem: string;
            }[];
            error: string | null;
            tables: {
                name: string;
                enabled: boolean;
                forced: boolean;
                owner: string;
                policies: string[];
            }[];
            roles: {
                name: string;
                owns_tables: boolean;
                can_log_in: boolean;
                superuser: boolean;
                bypasses_row_security: boolean;
            }[];
        };
        DoctorCheck: {
            name: string;
            /** @enum {string} */
            state: "ok" | "warning" | "failure";
            /** @description What was found. */
            message: string;
            remedy: string | null;
        };
        Diagnosis: {
            /** @description A newer diagnosis is being made. Ask again. */
            running: boolean;
            started_at: string | null;
            took_ms: number | null;
            checks: components["schemas"]["DoctorCheck"][];
        };
        Account: {
            /** Format: uuid */
            id: string;
            email: string;
            first_name: string;
            last_name: string;
            platform_admin: boolean;
            /** @description Whether it has owned a tenant. */
            is_owner: boolean;
            is_active: boolean;
            email_verified: boolean;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        AccountDetail: {
            /** Format: uuid */
            id: string;
            email: string;
            first_name: string;
            last_name: string;
            platform_admin: boolean;
            /** @description Whether it has owned a tenant. */
            is_owner: boolean;
            is_active: boolean;
            email_verified: boolean;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
            /** @description The tenants that it is a user of, newest first; at most 100. */
            memberships: {
                /** Format: uuid */
                id: string;
                key: string;
                slug: string;
                name: string;
                /** @enum {string} */
                status: "active" | "suspended";
                /** Format: uuid */
                user_id: string;
                /** @description Whether the account owns the tenant. */
                owner: boolean;
                /** Format: date-time */
                created_at: string;
            }[];
            factors: {
                /** Format: uuid */
                id: string;
                /** @enum {string} */
                kind: "totp" | "passkey";
                name: string;
                /** Format: date-time */
                created_at: string;
                last_used_at: string | null;
            }[];
            /** @description Its open sessions at the platform, newest first; at most 100. */
            sessions: {
                /** Format: uuid */
                id: string;
                /** @description How the person authenticated (RFC 8176); `mfa`: with two factors. */
                amr: string[];
                /** @description How the client presents it: `token` or `cookie`. */
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
            }[];
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
            /** @description 8 to 128 characters, and not a commonly used password. */
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
             * @description The lowest system role that holds it.
             * @enum {string}
             */
            role: "owner" | "admin" | "manager" | "user" | "viewer";
        };
        /** @description System roles have no timestamps: they always exist. */
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
        /** @description Absent properties stay unchanged. */
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
            /** @description The `mfa_token` of the response `second_factor_required`. */
            mfa_token: string;
            /**
             * @description The code shown by the app; single use.
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
            /** @description The `mfa_token` of the response `second_factor_required`. */
            mfa_token: string;
        };
        BegunTotp: {
            /** @description Send it with the app's first code to add the factor. Valid for ten minutes. */
            token: string;
            /** @description Base32, for manual entry. */
            secret: string;
            /** @description `otpauth://totp/…`, for a QR code. */
            uri: string;
        };
        PasskeyOptions: {
            /** @description Single use, valid for ten minutes. */
            challenge: string;
        } & {
            [key: string]: unknown;
        };
        /** @description With `totp` or `passkey`. */
        Enrolment: {
            /** @description The `mfa_token` of the response `second_factor_required`. */
            mfa_token: string;
            /** Format: name */
            name?: string;
            totp?: {
                token: string;
                /**
                 * @description The code shown by the app; single use.
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
            /** @description Only with the first factor. They are shown only once. */
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
             * @description `token` (the default): tokens in the response. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` to send as `X-CSRF-Token` with every request that changes something.
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
                 * @description The code shown by the app; single use.
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
            /** @description Only with the first factor. They are shown only once. */
            recovery_codes: string[];
        };
        /** @description With a factor, or with `password` if you have none. */
        Reauthentication: {
            password?: string;
            /**
             * @description The code shown by the app; single use.
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
        UserSignIn: {
            /** Format: uuid */
            user_id: string;
            /** @description Whether the user signs in with an account of the platform. */
            linked: boolean;
            /** @description Whether a second factor is set up, of a linked user by the account. */
            has_factor: boolean;
            last_seen_at: string | null;
        };
        ApiKey: {
            /** Format: uuid */
            id: string;
            name: string;
            /** @description The first characters of the key. */
            prefix: string;
            /** @description The permissions that the key was created with. */
            scopes: string[];
            /**
             * Format: uuid
             * @description The user who created it.
             */
            user_id: string;
            expires_at: string | null;
            /** @description Accurate to a minute or two. */
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
            /** @description The first characters of the key. */
            prefix: string;
            /** @description The permissions that the key was created with. */
            scopes: string[];
            /**
             * Format: uuid
             * @description The user who created it.
             */
            user_id: string;
            expires_at: string | null;
            /** @description Accurate to a minute or two. */
            last_used_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The key itself. It is shown only once. */
            key: string;
        };
        ClientCertificate: {
            /** Format: uuid */
            id: string;
            name: string;
            /**
             * @description certificate: only this one, by its fingerprint; authority: every client certificate that it issues.
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
             * @description The issuer URL, without `/.well-known/…`.
             * @example https://accounts.google.com
             */
            issuer: string;
            client_id: string;
            /** @description Default openid, email, profile. */
            scopes: string[];
            /** @description The e-mail domains that may sign in; empty: any. */
            allowed_domains: string[];
            /** @description Treats e-mails in `allowed_domains` as verified if the provider does not send `email_verified`. Use it only if users can't choose their address at the provider. */
            trust_email: boolean;
            /** @description Whether the first sign-in of an unknown person creates a user; default false. */
            create_users: boolean;
            /**
             * @description A system role other than owner.
             * @enum {string}
             */
            default_role: "admin" | "manager" | "user" | "viewer";
            role_mapping: {
                /**
                 * @description The path to the claim, outermost name first.
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
                    /** @description The name of a system role (except owner), or the id of one of the tenant's own roles. */
                    role: string;
                }[];
            } | null;
            /** @description Whether every sign-in updates the roles, or only the first one sets them. */
            update_roles: boolean;
            /** @description Trust that the provider always requires a second factor. */
            trust_second_factor: boolean;
            /** @description Values of `acr` that mean a second factor. They are sent as `acr_values` too. */
            second_factor_acr: string[];
            enabled: boolean;
            /** @description The redirect URIs to register at the provider. */
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
             * @description The issuer URL, without `/.well-known/…`.
             * @example https://accounts.google.com
             */
            issuer: string;
            client_id: string;
            /** @description Default openid, email, profile. */
            scopes?: string[];
            /** @description The e-mail domains that may sign in; empty: any. */
            allowed_domains?: string[];
            /** @description Treats e-mails in `allowed_domains` as verified if the provider does not send `email_verified`. Use it only if users can't choose their address at the provider. */
            trust_email?: boolean;
            /** @description Whether the first sign-in of an unknown person creates a user; default false. */
            create_users?: boolean;
            /**
             * @description A system role other than owner.
             * @enum {string}
             */
            default_role?: "admin" | "manager" | "user" | "viewer";
            role_mapping?: {
                /**
                 * @description The path to the claim, outermost name first.
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
                    /** @description The name of a system role (except owner), or the id of one of the tenant's own roles. */
                    role: string;
                }[];
            } | null;
            /** @description Whether every sign-in updates the roles, or only the first one sets them. */
            update_roles?: boolean;
            /** @description Trust that the provider always requires a second factor. */
            trust_second_factor?: boolean;
            /** @description Values of `acr` that mean a second factor. They are sent as `acr_values` too. */
            second_factor_acr?: string[];
            enabled?: boolean;
            /** @description Never returned. */
            client_secret: string;
        };
        IdentityProviderChanges: {
            /** Format: name */
            name?: string;
            /**
             * @description The issuer URL, without `/.well-known/…`.
             * @example https://accounts.google.com
             */
            issuer?: string;
            client_id?: string;
            /** @description Default openid, email, profile. */
            scopes?: string[];
            /** @description The e-mail domains that may sign in; empty: any. */
            allowed_domains?: string[];
            /** @description Treats e-mails in `allowed_domains` as verified if the provider does not send `email_verified`. Use it only if users can't choose their address at the provider. */
            trust_email?: boolean;
            /** @description Whether the first sign-in of an unknown person creates a user; default false. */
            create_users?: boolean;
            /**
             * @description A system role other than owner.
             * @enum {string}
             */
            default_role?: "admin" | "manager" | "user" | "viewer";
            role_mapping?: {
                /**
                 * @description The path to the claim, outermost name first.
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
                    /** @description The name of a system role (except owner), or the id of one of the tenant's own roles. */
                    role: string;
                }[];
            } | null;
            /** @description Whether every sign-in updates the roles, or only the first one sets them. */
            update_roles?: boolean;
            /** @description Trust that the provider always requires a second factor. */
            trust_second_factor?: boolean;
            /** @description Values of `acr` that mean a second factor. They are sent as `acr_values` too. */
            second_factor_acr?: string[];
            enabled?: boolean;
            /** @description Never returned. */
            client_secret?: string;
        };
        Identity: {
            /** Format: uuid */
            id: string;
            issuer: string;
            /** @description The user's `sub` at the provider. */
            subject: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            last_used_at: string;
        };
        SignInPage: {
            version: string;
            /** @description `development`, `test` or `production`. */
            environment: string;
            tenant: {
                /** Format: uuid */
                id: string;
                key: string;
                name: string;
                branding: {
                    [key: string]: string;
                };
            } | null;
            password_login: boolean;
            /** @description Whether anybody may register here. */
            registration: boolean;
            /** @description Whether passkeys work at this host. */
            passkeys: boolean;
            /** @description The tenant's identity providers: `GET /auth/oidc/{key}/start`. */
            providers: {
                /** Format: uuid */
                key: string;
                name: string;
            }[];
            /** @description Whether mails are at `/dev/mails`. */
            captured_mail: boolean;
            /** @description Whether no administrator has signed in yet. Always false in production. */
            first_sign_in: boolean;
        };
        OidcExchange: {
            code: string;
            code_verifier: string;
            /**
             * @description `token` (the default): tokens in the response. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` to send as `X-CSRF-Token` with every request that changes something.
             * @enum {string}
             */
            session?: "token" | "cookie";
        };
        /** @description A user of a tenant, as platform administrators see them. */
        TenantPerson: {
            /** Format: uuid */
            id: string;
            email: string;
            first_name: string;
            last_name: string;
            role: string;
            is_active: boolean;
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
            /** @description Same as `access_token`. */
            token?: string;
            /** @description Send it as `Authorization: Bearer …`. Absent for cookie sessions. */
            access_token?: string;
            /** @description For `POST /auth/refresh`; single use. Absent if the session cannot be refreshed. */
            refresh_token?: string;
            /** @constant */
            token_type?: "bearer";
            /** @description Send it as `X-CSRF-Token` with every request that changes something. Only for cookie sessions. */
            csrf_token?: string;
            /** @description Seconds. */
            expires_in: number;
            user: components["schemas"]["Person"];
            /** @description The tenant for which the token is valid; null: the platform. */
            tenant: components["schemas"]["TenantSummary"] | null;
            /** @description For an account: the tenants it can switch to. */
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
            user_name: string | null;
            user_email: string | null;
            /** Format: uuid */
            administrator_id: string;
            administrator_email: string;
            reason: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            ends_at: string;
            /** @description Set if it was ended early. */
            ended_at: string | null;
        };
        EmailDomain: {
            domain: string;
            /**
             * @description The role of users who join by this domain.
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
             * @description The role of users who join by this domain.
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
            /** @description The last sender; null if they were deleted, in which case it has to be sent again. */
            sent_by: string | null;
            /**
             * @description `void`: nobody can accept it, because its sender is gone or the invited person is a user already. An expired or void invitation does not prevent a new one.
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
            /** @description The tenant's own roles to grant in addition, by id or name. */
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
            /** @description Whether the invited person has an account and should sign in first. */
            has_account: boolean;
        };
        /** @description For people who are not signed in: the password of their new account. */
        InvitationAcceptance: {
            /** @description The token from the link in the e-mail. */
            token?: string;
            /**
             * Format: uuid
             * @description Instead of the token, for a signed-in account: the id from `GET /auth/tenants`.
             */
            invitation_id?: string;
            /** @description 8 to 128 characters, and not a commonly used password. */
            password?: string;
            /** Format: name */
            first_name?: string;
            /** Format: name */
            last_name?: string;
            /**
             * @description `token` (the default): tokens in the response. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` to send as `X-CSRF-Token` with every request that changes something.
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
            /** @description The tenants that the account is a user of. `POST /auth/switch` issues a token. */
            memberships: {
                tenant: components["schemas"]["TenantSummary"];
                /** Format: uuid */
                user_id: string;
                is_owner: boolean;
            }[];
            /** @description The tenants that the account may join by the domain of its verified e-mail, with `POST /tenants/{id}/join`. */
            joinable: {
                tenant: components["schemas"]["TenantSummary"];
                domain: string;
                role: string;
            }[];
            /** @description Open invitations to the verified e-mail, for `POST /invitations/accept`. */
            invitations: components["schemas"]["WaitingInvitation"][];
        };
        TenantTransfer: {
            /** Format: uuid */
            user_id: string;
        };
        AuditEntry: {
            /** @description 1, 2, 3 … without gaps, in commit order. */
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
            /** @description SHA-256 of the entry and the previous entry's hash, in hexadecimal. */
            hash: string;
            /** @description With `hashed=true`: the text that `hash` is of, in UTF-8. */
            hashed?: string;
        };
        Mail: {
            /** Format: uuid */
            id: string;
            tenant_id: string | null;
            template: string;
            to: string;
            /**
             * @description dropped: there was nothing to send, for example because nobody has this address.
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
             * @description count: events during the day. level: the amount at its end.
             * @enum {string}
             */
            kind: "count" | "level";
            total: number | null;
            /** @description For a count every day, for a level the days on which it was measured. */
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
            /** @description The sum over all tenants of each one's last measurement. */
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
             * @description The variables that the texts may use. Those without a `default` are required when sending.
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
            /** @description The variables that the texts may use besides `tenant` and `support_email`, with examples. */
            values: {
                [key: string]: unknown;
            };
            /** @description The links, each in a paragraph of its own, and their labels. */
            links: {
                [key: string]: string;
            };
            /** @description Whether the tenant has a template with this name. */
            overridden: boolean;
        };
        NewNotificationTemplate: {
            /**
             * @description The name of a system e-mail, to override it, or any other name.
             * @example order_shipped
             * @example password_reset
             */
            name: string;
            /** @enum {string} */
            type: "email" | "sms" | "push";
            subject?: string | null;
            /** @description Liquid. In an e-mail, blank lines separate paragraphs. */
            body: string;
            html?: string | null;
            /**
             * @description The variables that the texts may use. Those without a `default` are required when sending.
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
            /** @description Liquid. In an e-mail, blank lines separate paragraphs. */
            body?: string;
            html?: string | null;
            /**
             * @description The variables that the texts may use. Those without a `default` are required when sending.
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
            /** @description Set it to false to use the system e-mail again that this template overrides. */
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
             * @description An HTTPS URL at a public address.
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
            /** @description Only without a template. */
            subject?: string;
            /** @description Only without a template: text; blank lines separate paragraphs. */
            body?: string;
            /** @description Only without a template: HTML that you have sanitised. */
            html?: string;
        };
        /** @description `message_id` is the notification's id in the history. */
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
             * @description A telephone number in E.164 format; blanks, dots, hyphens and brackets are removed.
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
            /** @description Only without a template: the text. */
            body?: string;
        };
        PushNotification: {
            /** @description A device token, in ASCII. */
            recipient?: string;
            /**
             * Format: uuid
             * @description A user of the tenant, instead of `recipient`: pushes to all their browsers.
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
            /** @description Only without a template: the title. */
            subject?: string;
            /** @description Only without a template: the text. */
            body?: string;
        };
        Job: {
            /** Format: uuid */
            id: string;
            tenant_id: string | null;
            /** @example files.clean-up */
            job: string;
            /**
             * @description parked: it ran out of retries or failed permanently, and is not retried any more.
             * @enum {string}
             */
            state: "waiting" | "running" | "completed" | "parked";
            /** @description The job's input. */
            data: unknown;
            attempts: number;
            progress: number | null;
            /** @description The job's return value, once it has completed. */
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
            /** @description Opens one log stream; single use. */
            ticket: string;
            /** @description Seconds until the ticket expires. */
            expires_in: number;
        };
        Webhook: {
            /** Format: uuid */
            id: string;
            url: string;
            events: string[];
            description: string | null;
            enabled: boolean;
            /** @description Why the server disabled it: it failed for three days, the receiver answered 410, or the responsible user (or the key that they used) no longer exists. */
            disabled_reason: "failing" | "gone" | "maker_gone" | null;
            /** @description Since when every delivery has failed; null if the last one succeeded. */
            failing_since: string | null;
            /** @description The responsible user. Events that they may not read are not sent. Null for webhooks older than this rule. */
            made_by: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        EventType: {
            name: string;
            /** @description The permission needed to receive the event. */
            permission: string;
            /** @description The JSON Schema of the event's `data`. */
            schema: {
                [key: string]: unknown;
            };
        };
        NewWebhook: {
            /**
             * Format: uri
             * @description `https` at a public address. Redirects are not followed.
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
            /** @description Events that occur while it is disabled are not sent to it; deliveries that were waiting keep waiting. Enabling it resets its failures. */
            enabled?: boolean;
        };
        MadeWebhook: {
            /** Format: uuid */
            id: string;
            url: string;
            events: string[];
            description: string | null;
            enabled: boolean;
            /** @description Why the server disabled it: it failed for three days, the receiver answered 410, or the responsible user (or the key that they used) no longer exists. */
            disabled_reason: "failing" | "gone" | "maker_gone" | null;
            /** @description Since when every delivery has failed; null if the last one succeeded. */
            failing_since: string | null;
            /** @description The responsible user. Events that they may not read are not sent. Null for webhooks older than this rule. */
            made_by: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
            /** @description The signing secret. It is shown only once. */
            secret: string;
        };
        WebhookChanges: {
            /**
             * Format: uri
             * @description `https` at a public address. Redirects are not followed.
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
            /** @description Events that occur while it is disabled are not sent to it; deliveries that were waiting keep waiting. Enabling it resets its failures. */
            enabled?: boolean;
        };
        RotatedSecret: {
            /** @description The new signing secret. It is shown only once. */
            secret: string;
            /**
             * Format: date-time
             * @description Until then the previous secret signs too.
             */
            previous_until: string;
        };
        WebhookDelivery: {
            /** Format: uuid */
            id: string;
            /**
             * Format: uuid
             * @description Sent as the header `webhook-id`.
             */
            event_id: string;
            /** @description What happened. */
            event: string;
            /** @enum {string} */
            state: "waiting" | "delivered" | "failed";
            attempts: number;
            next_attempt_at: string | null;
            /** @description The time of the last attempt. */
            tried_at: string | null;
            response_status: number | null;
            /** @description The first kilobyte of the last response. */
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
             * @description Sent as the header `webhook-id`.
             */
            event_id: string;
            /** @description What happened. */
            event: string;
            /** @enum {string} */
            state: "waiting" | "delivered" | "failed";
            attempts: number;
            next_attempt_at: string | null;
            /** @description The time of the last attempt. */
            tried_at: string | null;
            response_status: number | null;
            /** @description The first kilobyte of the last response. */
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
            /** @description The number of rows, without the header. */
            rows: number;
            imported: number;
            refused_rows: number;
            /** @description The problems; at most 1000 are listed. */
            refused: {
                /** @description The line on which the row begins; the header is line 1. */
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
            /** @description 1, 2, 3 … within the tenant, without gaps. */
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
            /** @description 1, 2, 3 … within the tenant, without gaps. */
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
            /** @description The object's key in the storage. */
            file_key: string;
            /** @description The display name, not part of any path. It is normalised to NFC and must not contain control, bidirectional or invisible characters. */
            file_name: string;
            /** @description The media type with its parameters, as in `text/plain; charset=utf-8`. */
            mime_type: string;
            /** @description In bytes. */
            file_size: number;
            sha256: string | null;
            /** @description Additional data of your own, by name. */
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
            /** @description The display name, not part of any path. It is normalised to NFC and must not contain control, bidirectional or invisible characters. */
            file_name: string;
            /** @description In bytes. */
            file_size: number;
            /** @description The media type with its parameters, as in `text/plain; charset=utf-8`. */
            mime_type: string;
            /** @description Additional data of your own, by name. */
            metadata?: {
                [key: string]: string;
            };
        };
        SignedUpload: {
            file: components["schemas"]["File"];
            upload: {
                /** @enum {string} */
                method: "POST" | "PUT";
                /** @description Upload the content to this URL. Valid for this file only, for 15 minutes. */
                url: string;
                /** @description For PUT, with the content as the body. */
                headers: {
                    [key: string]: string;
                };
                /** @description For POST, with a form as the body: these fields first, then the part `file`. */
                fields: {
                    [key: string]: string;
                };
                /** Format: date-time */
                expires_at: string;
            };
        };
        FileChanges: {
            /** @description The display name, not part of any path. It is normalised to NFC and must not contain control, bidirectional or invisible characters. */
            file_name?: string;
            /** @description Additional data of your own, by name. */
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
            /** @description An e-mail or SKU; for a document, the matching excerpt as plain text. */
            detail: string | null;
            score: number;
        };
    };
    responses: {
        /**
         * @description An error. Besides those listed on a route, any route can return the shared errors:
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
         *     404 `tenant_not_found`: This tenant does not exist
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
         *     429 `quota_exceeded`: The tenant has reached a quota of its plan
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
                /** @description The signed grant. */
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
            /** @description Redirect */
            304: {
                headers: {
                    /** @description The address to go to. */
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
                /** @description The signed grant. */
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
    postAuthTenantTokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TenantTokenRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TenantToken"];
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
    postAuthStart: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StartLink"];
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                q?: string;
                status?: "active" | "suspended" | "deleted";
                plan?: string;
                /** @description pool: tables shared with other tenants; schema: its own schema; database: its own database. */
                isolation?: "pool" | "schema" | "database";
                /** @description The server's id or name. */
                server?: string;
                /** @description `created` (the default): newest first; `name`, `key`: ascending. */
                order?: "created" | "name" | "key";
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
                        /** @description The cursor of the next page; null on the last one. */
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
                     * @description Unique; a-z, 0-9, _ and -. The slug, a DNS label, is derived from it.
                     * @example acme_corp
                     */
                    key: string;
                    /** Format: name */
                    name: string;
                    /**
                     * @description pool: tables shared with other tenants; schema: its own schema; database: its own database.
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
                         * @description Whether anybody may register as a user of the tenant.
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
                         * @description Whether the tenant's users must verify their e-mail before they can log in; default: EMAIL_VERIFICATION.
                         * @enum {string}
                         */
                        email_verification?: "required" | "optional";
                        /**
                         * @description `off`: only owners sign in with a password; everybody else uses an identity provider, a passkey or an invitation. Requires an enabled provider or a passkey. Existing sessions stay.
                         * @enum {string}
                         */
                        password_login?: "on" | "off";
                        /**
                         * @description `required`: everybody who signs in here needs a second factor, and sessions opened without one end.
                         * @enum {string}
                         */
                        second_factor?: "required" | "optional";
                        /** @description How many days an invitation is valid; default 7. */
                        invitation_days?: number;
                        features?: {
                            [key: string]: boolean;
                        };
                        /**
                         * @description For platform administrators; stays unchanged if absent. `requests_per_minute` and each quota by its name (`users`, `storage_bytes`, …) override the plan's; 0: no limit.
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
                        /** @description Settings of the application itself. */
                        custom?: {
                            [key: string]: unknown;
                        };
                    };
                    /** @description For platform administrators: the server to place the tenant on. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                         * @description Whether anybody may register as a user of the tenant.
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
                         * @description Whether the tenant's users must verify their e-mail before they can log in; default: EMAIL_VERIFICATION.
                         * @enum {string}
                         */
                        email_verification?: "required" | "optional";
                        /**
                         * @description `off`: only owners sign in with a password; everybody else uses an identity provider, a passkey or an invitation. Requires an enabled provider or a passkey. Existing sessions stay.
                         * @enum {string}
                         */
                        password_login?: "on" | "off";
                        /**
                         * @description `required`: everybody who signs in here needs a second factor, and sessions opened without one end.
                         * @enum {string}
                         */
                        second_factor?: "required" | "optional";
                        /** @description How many days an invitation is valid; default 7. */
                        invitation_days?: number;
                        features?: {
                            [key: string]: boolean;
                        };
                        /**
                         * @description For platform administrators; stays unchanged if absent. `requests_per_minute` and each quota by its name (`users`, `storage_bytes`, …) override the plan's; 0: no limit.
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
                        /** @description Settings of the application itself. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                         * @description Whether anybody may register as a user of the tenant.
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
                         * @description Whether the tenant's users must verify their e-mail before they can log in; default: EMAIL_VERIFICATION.
                         * @enum {string}
                         */
                        email_verification?: "required" | "optional";
                        /**
                         * @description `off`: only owners sign in with a password; everybody else uses an identity provider, a passkey or an invitation. Requires an enabled provider or a passkey. Existing sessions stay.
                         * @enum {string}
                         */
                        password_login?: "on" | "off";
                        /**
                         * @description `required`: everybody who signs in here needs a second factor, and sessions opened without one end.
                         * @enum {string}
                         */
                        second_factor?: "required" | "optional";
                        /** @description How many days an invitation is valid; default 7. */
                        invitation_days?: number;
                        features?: {
                            [key: string]: boolean;
                        };
                        /**
                         * @description For platform administrators; stays unchanged if absent. `requests_per_minute` and each quota by its name (`users`, `storage_bytes`, …) override the plan's; 0: no limit.
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
                        /** @description Settings of the application itself. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                    /** @description PEM: the host's certificate, followed by its chain. */
                    certificate: string;
                    /** @description PEM, without a passphrase. Stored encrypted and never returned. */
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
    getPlatformTenantsById: {
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
                    "application/json": components["schemas"]["TenantDetail"];
                };
            };
        };
    };
    postPlatformTenantsByIdRestore: {
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
                    "application/json": components["schemas"]["Tenant"];
                };
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
                     * @description The administrator's connection URL. Stored encrypted and never returned.
                     * @example postgresql://admin:password@eu.example:5432/insulae?sslmode=verify-full
                     */
                    url: string;
                    /**
                     * @description The URL of PostgreSQL itself, if `url` leads to a connection pooler.
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
                     * @description The administrator's connection URL. Stored encrypted and never returned.
                     * @example postgresql://admin:password@eu.example:5432/insulae?sslmode=verify-full
                     */
                    url?: string;
                    /**
                     * @description The URL of PostgreSQL itself, if `url` leads to a connection pooler.
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                        /** @description The tenants placed on it: the first 100. `GET /servers/:id/tenants` lists all. */
                        left: components["schemas"]["ServerTenant"][];
                    };
                };
            };
        };
    };
    getPlatformMoves: {
        parameters: {
            query?: {
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description The tenant's id, key, slug or number. */
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
                        items: components["schemas"]["Move"][];
                        /** @description The cursor of the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    postPlatformMoves: {
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
                     * @description The tenant's id, key, slug or number.
                     * @example acme
                     */
                    tenant: string;
                    /** @enum {string} */
                    isolation: "pool" | "schema" | "database";
                    /** @description The id or name of the server to move to; default: the tenant's own. */
                    server?: string;
                    /** @description How long the source is kept; default 24. At least two minutes. */
                    keep_hours?: number;
                };
            };
        };
        responses: {
            /** @description Done */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Move"];
                };
            };
        };
    };
    getPlatformMovesById: {
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
                    "application/json": components["schemas"]["Move"];
                };
            };
        };
    };
    postPlatformMovesByIdAbort: {
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
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Move"];
                };
            };
        };
    };
    postPlatformMovesByIdRevert: {
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
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Move"];
                };
            };
        };
    };
    postPlatformMovesByIdRelease: {
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
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Move"];
                };
            };
        };
    };
    postPlatformIsolationProbes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description A tenant's id, key, slug or number. */
                    a: string;
                    /** @description A tenant's id, key, slug or number. */
                    b: string;
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
                    "application/json": components["schemas"]["IsolationProbes"];
                };
            };
        };
    };
    getPlatformIsolationReport: {
        parameters: {
            query?: {
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        items: components["schemas"]["IsolationReport"][];
                        /** @description The cursor of the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getPlatformDoctor: {
        parameters: {
            query?: {
                /** @description Makes a new diagnosis, unless one is seconds old. */
                again?: boolean;
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
                    "application/json": components["schemas"]["Diagnosis"];
                };
            };
        };
    };
    getPlatformAccounts: {
        parameters: {
            query?: {
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                q?: string;
                is_active?: boolean;
                platform_admin?: boolean;
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
                        items: components["schemas"]["Account"][];
                        /** @description The cursor of the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getPlatformAccountsById: {
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
                    "application/json": components["schemas"]["AccountDetail"];
                };
            };
        };
    };
    patchPlatformAccountsById: {
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
                    is_active: boolean;
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
                    "application/json": components["schemas"]["AccountDetail"];
                };
            };
        };
    };
    deletePlatformAccountsByIdSessions: {
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
    putPlatformAccountsByIdPlatformAdmin: {
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
    deletePlatformAccountsByIdPlatformAdmin: {
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
    getUsers: {
        parameters: {
            query?: {
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
            /** @description System roles have no timestamps: they always exist. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
                "If-None-Match"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description System roles have no timestamps: they always exist. */
            200: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Role"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
            /** @description System roles have no timestamps: they always exist. */
            200: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
            /** @description System roles have no timestamps: they always exist. */
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
    getUsersSignIns: {
        parameters: {
            query: {
                /** @description Up to 100 ids of users, separated by commas. Those that are no users here are left out. */
                ids: string;
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
                        items: components["schemas"]["UserSignIn"][];
                    };
                };
            };
        };
    };
    getUsersByIdSessions: {
        parameters: {
            query?: {
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
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
                        items: components["schemas"]["Session"][];
                        /** @description The cursor of the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    deleteUsersByIdSessions: {
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                     * @description certificate: only this one, by its fingerprint; authority: every client certificate that it issues.
                     * @enum {string}
                     */
                    kind?: "certificate" | "authority";
                    /** @description PEM, one certificate. */
                    certificate: string;
                    /** @description Attributes that the subject of a certificate issued by this authority must have. */
                    required_subject?: string[];
                    /** @description A subset of your permissions. A client that presents the certificate acts as you with these permissions. Without scopes, the certificate only identifies the tenant. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IdentityProvider"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
    getAuthContext: {
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
                    "application/json": components["schemas"]["SignInPage"];
                };
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
                /** @description The page to return to. Its origin must be that of APP_URL, a host of the tenant, or allowed by CORS_ORIGINS. */
                return_to: string;
                /** @description The PKCE challenge (RFC 7636, S256): the page generates and keeps a secret of 43 to 128 characters and sends its SHA-256 in base64url. */
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
            /** @description Redirect */
            302: {
                headers: {
                    /** @description The address to go to. */
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
            /** @description Redirect */
            302: {
                headers: {
                    /** @description The address to go to. */
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
    getPlatformTenantsByIdUsers: {
        parameters: {
            query?: {
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description Only items that contain this text. */
                q?: string;
                is_active?: boolean;
            };
            header?: never;
            path: {
                /** @description A tenant's id, key, slug or number. */
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
                        items: components["schemas"]["TenantPerson"][];
                        /** @description The cursor of the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getPlatformImpersonations: {
        parameters: {
            query?: {
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description A tenant's id, key, slug or number. */
                tenant?: string;
                /** @description Only those that are running; `false`: only those that are over. */
                active?: boolean;
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description Only those that are running; `false`: only those that are over. */
                active?: boolean;
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
                        /** @description The cursor of the next page; null on the last one. */
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
                     * @description The role of users who join by this domain.
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description The token from the link in the e-mail. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description An action, or all that begin alike: `user.*`. */
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of the actor. */
                actor?: string;
                /** @description The id of the object acted on. */
                target?: string;
                from?: string;
                /** @description Before this time. */
                to?: string;
                /** @description Adds to each entry the text that its hash is of. */
                hashed?: boolean;
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description An action, or all that begin alike: `user.*`. */
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of the actor. */
                actor?: string;
                /** @description The id of the object acted on. */
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
            /** @description One entry per line, as JSON, oldest first. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description An action, or all that begin alike: `user.*`. */
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of the actor. */
                actor?: string;
                /** @description The id of the object acted on. */
                target?: string;
                from?: string;
                /** @description Before this time. */
                to?: string;
                /** @description Adds to each entry the text that its hash is of. */
                hashed?: boolean;
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description An action, or all that begin alike: `user.*`. */
                action?: string;
                outcome?: "succeeded" | "failed" | "refused";
                /** @description The id of the actor. */
                actor?: string;
                /** @description The id of the object acted on. */
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
            /** @description One entry per line, as JSON, oldest first. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description Only e-mails to this address. */
                to?: string;
                /** @description dropped: there was nothing to send, for example because nobody has this address. */
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
                        /** @description The cursor of the next page; null on the last one. */
                        next_cursor: string | null;
                        total?: number;
                    };
                };
            };
        };
    };
    getMailsById: {
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
                    "application/json": components["schemas"]["Mail"];
                };
            };
        };
    };
    getMailsByIdPreview: {
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
                    "text/html": string;
                };
            };
        };
    };
    getTenantsByIdUsage: {
        parameters: {
            query?: {
                from?: string;
                to?: string;
                /** @description Only this metric: `requests`, `users`, `rows`, `storage_bytes` … */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotificationTemplate"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                    /** @description Liquid. In an e-mail, blank lines separate paragraphs. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
            /** @description `message_id` is the notification's id in the history. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
            /** @description `message_id` is the notification's id in the history. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
            /** @description `message_id` is the notification's id in the history. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
                cursor?: string;
                /** @description parked: it ran out of retries or failed permanently, and is not retried any more. */
                state?: "waiting" | "running" | "completed" | "parked";
                /** @description Only jobs with this name. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description Only reports what an import would do. */
                dry_run?: boolean;
                /** @description Imports the valid rows, in one transaction, even if others are invalid. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Contact"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Product"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                /** @description A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Document"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The maximum number of items. */
                limit?: number;
                /** @description The `next_cursor` of the previous page. Absent: the first page. */
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
                        /** @description The cursor of the next page; null on the last one. */
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
                    /** @description The display name, not part of any path. It is normalised to NFC and must not contain control, bidirectional or invisible characters. */
                    file_name?: string;
                    /** @description In bytes. */
                    file_size?: number;
                    /** @description The media type with its parameters, as in `text/plain; charset=utf-8`. */
                    mime_type?: string;
                    /** @description Additional data of your own, by name. */
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
                /** @description The `ETag` you have. If it is current, the response is 304. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["File"];
                };
            };
            /** @description Not modified */
            304: {
                headers: {
                    /** @description Identifies this version of the resource. Changes with every change. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                /** @description The `ETag` you read. If the resource has changed since, the request fails with 412. */
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
                    /** @description Identifies this version of the resource. Changes with every change. */
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
            /** @description Redirect */
            302: {
                headers: {
                    /** @description The address to go to. */
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
                /** @description Only these types; can be repeated. Default: all. */
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
