/** The addresses: `/p/…` is the platform, `/t/<key>/…` a tenant, `/me` the account. */
import { createRootRoute, createRoute, createRouter, Outlet } from "@tanstack/react-router";
import { lazy } from "react";
import { platformScreens } from "./features/platform/screens.ts";
import { tenantScreens } from "./features/tenant/screens.ts";
import { consolePath } from "./lib/place.ts";
import type { Screen } from "./lib/screen.ts";
import { MePlace, PlatformPlace, StartPlace, TenantPlace } from "./places.tsx";
import { Forbidden, Missing, ScreenProblem } from "./ui/states.tsx";

const root = createRootRoute({ component: Outlet, notFoundComponent: Missing });

const start = createRoute({ getParentRoute: () => root, path: "/", component: StartPlace });
const me = createRoute({ getParentRoute: () => root, path: "/me", component: MePlace });
const platform = createRoute({ getParentRoute: () => root, path: "/p", component: PlatformPlace });
const tenant = createRoute({
  getParentRoute: () => root,
  path: "/t/$tenant",
  component: TenantPlace,
});

const routesOf = (screens: readonly Screen[], parent: typeof platform | typeof tenant) =>
  screens.flatMap((screen) => {
    const Shown = lazy(screen.load);
    const component = () => (
      <Forbidden unless={screen.permission}>
        <Shown />
      </Forbidden>
    );
    return [screen.path, ...(screen.further ?? [])].map((path) =>
      createRoute({
        getParentRoute: () => parent as typeof platform,
        path: path === "" ? "/" : path,
        component,
      }),
    );
  });

export function createConsoleRouter() {
  return createRouter({
    routeTree: root.addChildren([
      start,
      me,
      platform.addChildren(routesOf(platformScreens, platform)),
      tenant.addChildren(routesOf(tenantScreens, tenant)),
    ]),
    basepath: consolePath,
    defaultNotFoundComponent: Missing,
    defaultErrorComponent: ScreenProblem,
    // Filters are read and written as texts: `?q=ada&status=active`.
    parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
    stringifySearch: (search) => {
      const given = Object.entries(search).filter(
        ([, value]) => value !== undefined && value !== "",
      ) as [string, string][];
      return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
    },
  });
}
