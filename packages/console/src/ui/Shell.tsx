/** What is around every screen: rail, header, switcher, palette, API drawer. Made without antd. */
import { Link, useNavigate, useRouterState } from "@tanstack/react-router";
import { type ReactNode, Suspense, useEffect, useRef, useState } from "react";
import { useApiContext } from "../lib/context.tsx";
import { useLanguage, useText } from "../lib/i18n.ts";
import { useMe } from "../lib/me.ts";
import type { Group, Screen } from "../lib/screen.ts";
import { useServer } from "../lib/server.ts";
import { AccountMenu } from "./AccountMenu.tsx";
import { ApiDrawer } from "./ApiDrawer.tsx";
import { Icon } from "./Icon.tsx";
import { ImpersonationBar } from "./ImpersonationBar.tsx";
import { KeyList, useKeys } from "./keys.tsx";
import { Offline } from "./Offline.tsx";
import { Palette } from "./Palette.tsx";
import { Reauthenticate } from "./Reauthenticate.tsx";
import { SignInAgain } from "./SignInAgain.tsx";
import { Skeleton } from "./Skeleton.tsx";
import { Switcher } from "./Switcher.tsx";
import { texts } from "./texts.ts";
import "./shell.css";

const groups: readonly Group[] = ["main", "people", "operations", "settings"];

export interface ShellProps {
  readonly screens: readonly Screen[];
  /** `/p` or `/t/acme`. */
  readonly root: string;
  readonly children: ReactNode;
}

export function Shell({ screens, root, children }: ShellProps) {
  const t = useText(texts);
  const language = useLanguage();
  const { tenant, impersonation } = useApiContext();
  const server = useServer();
  const [open, setOpen] = useState<"api" | "keys" | "menu" | "palette" | "tenants">();
  const close = () => setOpen(undefined);
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const visible = useVisible(screens);
  const current = path.startsWith(root)
    ? screenAt(screens, path.slice(root.length + 1))
    : undefined;
  const navigate = useNavigate();

  useEffect(() => {
    const place = tenant ?? t.platform;
    document.title = `${impersonation ? "◐ " : ""}${current?.title[language] ?? t.accountMenu} · ${place} · Insulae`;
  }, [current, language, tenant, impersonation, t]);
  // A narrow screen's menu goes when somebody has chosen, and focus starts at the screen's top.
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the path has changed
  useEffect(() => {
    setOpen((was) => (was === "menu" ? undefined : was));
    main.current?.scrollTo(0, 0);
  }, [path]);
  useKeys({
    palette: () => setOpen("palette"),
    tenants: () => setOpen("tenants"),
    api: () => setOpen((was) => (was === "api" ? undefined : "api")),
    keys: () => setOpen("keys"),
    go: (letter) => {
      const screen = visible.find(({ path }) => (path || "overview").startsWith(letter));
      if (screen) void navigate({ to: join(root, screen.path) });
    },
  });

  return (
    <div className={`shell ${tenant ? "of-tenant" : "of-platform"}`}>
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        {t.skip}
      </button>
      {server.data?.environment === "production" && !tenant && <div className="production" />}
      <ImpersonationBar />
      <Offline />
      <header className="top">
        <button
          type="button"
          className="icon-button only-narrow"
          aria-label={t.menu}
          aria-expanded={open === "menu"}
          onClick={() => setOpen(open === "menu" ? undefined : "menu")}
        >
          <Icon name="menu" />
        </button>
        <Link to={root} className="brand">
          <img src="./favicon.svg" alt="" width={24} height={24} />
          <span className="hidden-narrow">Insulae</span>
        </Link>
        <Switcher open={open === "tenants"} onOpen={() => setOpen("tenants")} onClose={close} />
        <button type="button" className="find" onClick={() => setOpen("palette")}>
          <Icon name="search" size={16} />
          <span>{t.palette}</span>
          <kbd>{isMac ? "⌘K" : "Ctrl K"}</kbd>
        </button>
        <span className="grow" />
        <button
          type="button"
          className="text-button"
          aria-pressed={open === "api"}
          onClick={() => setOpen(open === "api" ? undefined : "api")}
        >
          <Icon name="api" size={16} /> <span className="hidden-narrow">{t.api}</span>
        </button>
        <AccountMenu />
      </header>
      <nav className={`rail ${open === "menu" ? "is-open" : ""}`} aria-label={t.menu}>
        {groups.map((group) => {
          const own = visible.filter((screen) => screen.group === group && !screen.hidden);
          return (
            own.length > 0 && (
              <ul key={group}>
                {own.map((screen) => (
                  <li key={screen.path}>
                    <Link
                      to={join(root, screen.path)}
                      activeOptions={{ exact: screen.path === "" }}
                      aria-current={screen === current ? "page" : undefined}
                      title={screen.title[language]}
                    >
                      <Icon name={screen.icon} />
                      <span>{screen.title[language]}</span>
                    </Link>
                  </li>
                ))}
              </ul>
            )
          );
        })}
        {server.data && (
          <p className="version">
            {server.data.version}
            {server.data.environment !== "production" && ` · ${server.data.environment}`}
          </p>
        )}
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        <Suspense fallback={<Skeleton />}>{children}</Suspense>
      </main>
      {open === "api" && <ApiDrawer onClose={close} />}
      {open === "palette" && <Palette screens={visible} root={root} onClose={close} />}
      {open === "keys" && <KeyList onClose={close} />}
      <Reauthenticate />
      <SignInAgain />
    </div>
  );
}

export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

export const join = (root: string, path: string): string =>
  path === "" ? root : `${root}/${path}`;

/** Those that whoever is signed in may see. */
function useVisible(screens: readonly Screen[]): readonly Screen[] {
  const { permissions } = useMe();
  return screens.filter(({ permission }) => !permission || permissions.includes(permission));
}

/** @param path below the root */
function screenAt(screens: readonly Screen[], path: string): Screen | undefined {
  const [first = ""] = path.split("/");
  return screens.find((screen) => screen.path.split("/")[0] === first);
}
