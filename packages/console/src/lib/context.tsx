/**
 * On whose behalf this tab asks. The tenant is in the address and in the tab's own token, so two
 * tabs can be in two tenants, and neither can write to the other's.
 *
 * | the tab is at | it authenticates with |
 * |---|---|
 * | `/p/…` | the account's cookie |
 * | `/t/acme/…` at the platform's host | a token for acme, in memory, made from that cookie |
 * | `/t/acme/…` at acme's own host | the cookie of the user in acme |
 * | `/t/acme/…?as=…` | the token of an impersonation |
 */
import { type BearerSource, type Client, createClient } from "@insulae/client";
import { createContext, useContext } from "react";
import { serverUrl } from "./place.ts";
import { noteRequest } from "./requests.ts";

export interface Context {
  /** Begins the key of everything that is cached. */
  readonly key: readonly string[];
  readonly client: Client;
  /** The tenant's key; undefined: the platform. */
  readonly tenant: string | undefined;
  /** The impersonation in whose name this tab acts. */
  readonly impersonation: string | undefined;
}

/** Called when the session is over: the shell asks people to sign in again. */
let onEnd = (): void => {};
export const whenSessionEnds = (fn: () => void): void => {
  onEnd = fn;
};

interface Kind {
  readonly session: "cookie" | BearerSource;
  readonly tenant?: string;
}

function clientFor({ session, tenant }: Kind): Client {
  const bodies = new Map<string, unknown>();
  const client = createClient({
    baseUrl: serverUrl,
    session,
    onSessionEnd: () => onEnd(),
    onAnswer({ method, path, url, status, headers, ms }) {
      const verb = method.toUpperCase();
      noteRequest({
        method: verb,
        path,
        url,
        status,
        ms,
        tenant,
        requestId: headers.get("x-request-id") ?? undefined,
        rateLimit: headers.get("ratelimit") ?? undefined,
        body: verb === "GET" ? undefined : bodies.get(`${verb} ${path.split("?")[0]}`),
      });
    },
  });
  // What was sent is shown in the API drawer, but for what nobody should see.
  const noting = (verb: "post" | "put" | "patch" | "delete") => {
    const call = client[verb] as (path: string, options?: { body?: unknown }) => Promise<unknown>;
    return (path: string, options?: { body?: unknown }) => {
      if (!path.startsWith("/auth/")) {
        const body = options?.body;
        bodies.set(`${verb.toUpperCase()} ${path}`, body instanceof FormData ? undefined : body);
      }
      return call(path, options);
    };
  };
  return {
    ...client,
    post: noting("post"),
    put: noting("put"),
    patch: noting("patch"),
    delete: noting("delete"),
  } as Client;
}

/** With the cookie: an account's at the platform's host, a user's at a tenant's. */
export const cookieClient: Client = clientFor({ session: "cookie" });

export const platformContext: Context = {
  key: ["p"],
  client: cookieClient,
  tenant: undefined,
  impersonation: undefined,
};

/** Tokens are asked for anew half a minute before they end. */
const earlySeconds = 30;

function tokens(
  issue: () => Promise<{ readonly access_token?: string; readonly expires_in: number }>,
): BearerSource {
  let kept: { readonly token: string; readonly until: number } | undefined;
  let asking: Promise<string> | undefined;
  return {
    async bearer(refused) {
      if (kept && kept.token !== refused && kept.until > Date.now()) return kept.token;
      asking ??= issue()
        .then(({ access_token = "", expires_in }) => {
          kept = { token: access_token, until: Date.now() + (expires_in - earlySeconds) * 1_000 };
          return access_token;
        })
        .finally(() => {
          asking = undefined;
        });
      return asking;
    },
  };
}

export function tenantContext(tenant: string, impersonation?: string): Context {
  const source = tokens(() =>
    impersonation === undefined
      ? cookieClient.post("/auth/tenant-tokens", { body: { tenant } })
      : cookieClient.post("/platform/impersonations/{id}/token", {
          params: { path: { id: impersonation } },
        }),
  );
  return {
    key: ["t", tenant, ...(impersonation === undefined ? [] : [impersonation])],
    client: clientFor({ session: source, tenant }),
    tenant,
    impersonation,
  };
}

/** At a tenant's own host. */
export const ownHostContext = (tenant: string): Context => ({
  key: ["t", tenant],
  client: cookieClient,
  tenant,
  impersonation: undefined,
});

const CurrentContext = createContext<Context>(platformContext);
export const ContextProvider = CurrentContext.Provider;
export const useApiContext = (): Context => useContext(CurrentContext);
