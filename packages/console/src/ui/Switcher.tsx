/** Which tenant this tab is in, and the way to another: never a list of all of them. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useRouterState } from "@tanstack/react-router";
import { useState } from "react";
import { cookieClient, useApiContext } from "../lib/context.tsx";
import { useText } from "../lib/i18n.ts";
import { useMe } from "../lib/me.ts";
import { toggleStar, useTenantsUsed } from "../lib/tenants-used.ts";
import { useDebounced } from "../lib/use-debounced.ts";
import { useOptions } from "../lib/use-options.ts";
import { Dialog } from "./Dialog.tsx";
import { Icon } from "./Icon.tsx";
import { texts } from "./texts.ts";

interface Props {
  readonly open: boolean;
  readonly onOpen: () => void;
  readonly onClose: () => void;
}

export function Switcher({ open, onOpen, onClose }: Props) {
  const t = useText(texts);
  const { tenant } = useApiContext();
  const me = useMe();
  const { starred } = useTenantsUsed();
  return (
    <>
      <button type="button" className="switcher" aria-haspopup="dialog" onClick={onOpen}>
        <Icon name={tenant ? "tenants" : "server"} size={16} />
        <span className="name">
          {tenant ? (me.tenant?.name ?? tenant) : me.user.platform_admin ? t.platform : t.tenants}
        </span>
        <Icon name="chevron" size={14} />
      </button>
      {tenant && (
        <button
          type="button"
          className="icon-button only-wide"
          aria-pressed={starred.includes(tenant)}
          aria-label={starred.includes(tenant) ? t.unstar : t.star}
          onClick={() => toggleStar(tenant)}
        >
          <Icon name="star" size={16} />
        </button>
      )}
      {open && <Choice onClose={onClose} />}
    </>
  );
}

interface Option {
  readonly key: string | undefined;
  readonly name: string;
  readonly group: string;
}

const mostFound = 20;

/** The account, which may be at work in several tenants; undefined at a tenant's own host, and for its users. */
const useAccount = () =>
  useQuery({
    queryKey: ["account"],
    queryFn: () => cookieClient.get("/auth/me"),
    select: (me) => (me.tenant === null ? me : undefined),
    staleTime: 60_000,
  });

function Choice({ onClose }: { readonly onClose: () => void }) {
  const t = useText(texts);
  const account = useAccount();
  const { tenant } = useApiContext();
  const { recent, starred } = useTenantsUsed();
  const navigate = useNavigate();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const [typed, setTyped] = useState("");
  const q = useDebounced(typed.trim());
  const isAdmin = account.data?.user.platform_admin === true;
  const found = useQuery({
    queryKey: ["switcher", q],
    queryFn: ({ signal }) =>
      cookieClient.get("/tenants", {
        params: { query: { q, limit: mostFound } as object },
        signal,
      }),
    enabled: isAdmin && q !== "",
  });

  const own = account.data?.tenants ?? [];
  const matches = (option: Option) =>
    `${option.key} ${option.name}`.toLowerCase().includes(typed.trim().toLowerCase());
  const named = (key: string) => own.find((each) => each.key === key)?.name ?? key;
  const options: Option[] = unique(
    [
      ...(isAdmin ? [{ key: undefined, name: t.platform, group: "" }] : []),
      ...starred.map((key) => ({ key, name: named(key), group: t.starred })),
      ...recent.map((key) => ({ key, name: named(key), group: t.recent })),
      ...own.slice(0, mostFound).map(({ key, name }) => ({ key, name, group: t.yourTenants })),
    ]
      .filter(matches)
      .concat((found.data?.items ?? []).map(({ key, name }) => ({ key, name, group: t.tenants }))),
  );

  const choose = (at: number) => {
    const option = options[at];
    if (!option) return;
    onClose();
    void navigate({ to: option.key === undefined ? "/p" : sameScreen(path, tenant, option.key) });
  };
  const list = useOptions(options.length, choose);
  return (
    <Dialog title={t.tenants} onClose={onClose} className="choice">
      <input
        autoFocus
        type="search"
        aria-label={t.search}
        placeholder={t.search}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        {...list.field}
      />
      <ul {...list.list} aria-label={t.tenants}>
        {options.map((option, at) => (
          <li key={`${option.group} ${option.key}`} {...list.option(at)}>
            <Icon name={option.key === undefined ? "server" : "tenants"} size={16} />
            <span>{option.name}</span>
            <span className="quiet">{option.key !== option.name && option.key}</span>
            <span className="quiet group">{option.group}</span>
          </li>
        ))}
      </ul>
      {options.length === 0 && !found.isFetching && <p className="quiet">{t.paletteEmpty}</p>}
    </Dialog>
  );
}

/** A tenant is named once, where it comes first. */
const unique = (options: readonly Option[]): Option[] =>
  options.filter((option, at) => options.findIndex(({ key }) => key === option.key) === at);

/** The same screen of another tenant, without the record, which is not there. */
function sameScreen(path: string, from: string | undefined, to: string): string {
  const [, part, , screen] = path.split("/");
  return from !== undefined && part === "t" && screen ? `/t/${to}/${screen}` : `/t/${to}`;
}
