/** Who is at work where: each place finds out who is signed in there, and gives that to its screens. */
import { ApiError } from "@insulae/client";
import { useQuery } from "@tanstack/react-query";
import { Navigate, Outlet, useParams, useSearch } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useEffect, useMemo } from "react";
import { platformScreens } from "./features/platform/screens.ts";
import { tenantScreens } from "./features/tenant/screens.ts";
import {
  type Context,
  ContextProvider,
  cookieClient,
  ownHostContext,
  platformContext,
  tenantContext,
} from "./lib/context.tsx";
import { type Me, MeProvider } from "./lib/me.ts";
import { consoleUrl } from "./lib/place.ts";
import type { Screen } from "./lib/screen.ts";
import { useServer } from "./lib/server.ts";
import { noteTenant } from "./lib/tenants-used.ts";
import { Shell } from "./ui/Shell.tsx";
import { Skeleton } from "./ui/Skeleton.tsx";
import { Missing, ProblemPage } from "./ui/states.tsx";

const Antd = lazy(() => import("./ui/antd.tsx"));
const Account = lazy(() => import("./features/me/Account.tsx"));

/** Whom the cookie belongs to: an account, or a user of the tenant whose host this is. */
function useOwner() {
  return useQuery({
    queryKey: ["account"],
    queryFn: () => cookieClient.get("/auth/me"),
    staleTime: 60_000,
  });
}

const isSignedOut = (error: unknown): boolean => error instanceof ApiError && error.status === 401;

function toSignIn(): null {
  const to = location.href.slice(document.baseURI.length);
  location.replace(consoleUrl(`sign-in${to ? `?to=${encodeURIComponent(to)}` : ""}`));
  return null;
}

function WithOwner({ children }: { readonly children: (owner: Me) => ReactNode }) {
  const { data, error } = useOwner();
  if (data) return children(data);
  if (isSignedOut(error)) return toSignIn();
  if (error) return <ProblemPage error={error} />;
  return <Skeleton />;
}

export function StartPlace() {
  return (
    <WithOwner>
      {(owner) => {
        if (owner.tenant) return <Navigate to={`/t/${owner.tenant.key}`} replace />;
        if (owner.user.platform_admin) return <Navigate to="/p" replace />;
        const [only, ...others] = owner.tenants ?? [];
        return <Navigate to={only && others.length === 0 ? `/t/${only.key}` : "/me"} replace />;
      }}
    </WithOwner>
  );
}

export function MePlace() {
  return (
    <WithOwner>
      {(owner) => {
        const tenant = owner.tenant?.key;
        const context = tenant ? ownHostContext(tenant) : platformContext;
        const screens = tenant ? tenantScreens : owner.user.platform_admin ? platformScreens : [];
        return (
          <Place
            context={context}
            me={owner}
            screens={screens}
            root={tenant ? `/t/${tenant}` : "/p"}
          >
            <Account />
          </Place>
        );
      }}
    </WithOwner>
  );
}

export function PlatformPlace() {
  return (
    <WithOwner>
      {(owner) =>
        owner.tenant ? (
          <Navigate to={`/t/${owner.tenant.key}`} replace />
        ) : !owner.user.platform_admin ? (
          <Navigate to="/me" replace />
        ) : (
          <Place context={platformContext} me={owner} screens={platformScreens} root="/p">
            <Outlet />
          </Place>
        )
      }
    </WithOwner>
  );
}

export function TenantPlace() {
  const { tenant = "" } = useParams({ strict: false });
  const { as } = useSearch({ strict: false }) as { readonly as?: string };
  // It stays in the tab when the address has it no longer.
  const name = `insulae.as.${tenant}`;
  if (as) sessionStorage.setItem(name, as);
  const impersonation = as ?? sessionStorage.getItem(name) ?? undefined;
  return (
    <WithOwner>
      {(owner) =>
        // At a tenant's own host there is no other.
        owner.tenant && owner.tenant.key !== tenant ? (
          <main className="state">
            <Missing />
          </main>
        ) : (
          <InTenant key={tenant} {...{ owner, tenant, impersonation }} />
        )
      }
    </WithOwner>
  );
}

interface InTenantProps {
  readonly owner: Me;
  readonly tenant: string;
  readonly impersonation: string | undefined;
}

function InTenant({ owner, tenant, impersonation }: InTenantProps) {
  const isOwnHost = owner.tenant?.key === tenant;
  const context = useMemo(
    () => (isOwnHost ? ownHostContext(tenant) : tenantContext(tenant, impersonation)),
    [isOwnHost, tenant, impersonation],
  );
  const me = useQuery({
    queryKey: [...context.key, "me"],
    queryFn: () => context.client.get("/auth/me"),
    staleTime: 60_000,
  });
  useEffect(() => {
    if (me.data) noteTenant(tenant);
  }, [me.data, tenant]);
  if (me.error) return <ProblemPage error={me.error} />;
  if (!me.data) return <Skeleton />;
  return (
    <Place context={context} me={me.data} screens={tenantScreens} root={`/t/${tenant}`}>
      <Outlet />
    </Place>
  );
}

interface PlaceProps {
  readonly context: Context;
  readonly me: Me;
  readonly screens: readonly Screen[];
  readonly root: string;
  readonly children: ReactNode;
}

function Place({ context, me, screens, root, children }: PlaceProps) {
  const server = useServer();
  const host = server.data?.tenant;
  const color =
    context.tenant !== undefined && host?.key === context.tenant
      ? host.branding?.primary_color
      : undefined;
  return (
    <ContextProvider value={context}>
      <MeProvider value={me}>
        <Shell screens={screens} root={root}>
          <Suspense fallback={<Skeleton />}>
            <Antd color={color}>{children}</Antd>
          </Suspense>
        </Shell>
      </MeProvider>
    </ContextProvider>
  );
}
