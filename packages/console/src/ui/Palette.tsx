import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useApiContext } from "../lib/context.tsx";
import { useLanguage, useText } from "../lib/i18n.ts";
import type { IconName } from "../lib/icons.ts";
import { useMe } from "../lib/me.ts";
import type { Action, Screen } from "../lib/screen.ts";
import { useDebounced } from "../lib/use-debounced.ts";
import { useOptions } from "../lib/use-options.ts";
import { Dialog } from "./Dialog.tsx";
import { Icon } from "./Icon.tsx";
import { texts } from "./texts.ts";

interface Entry {
  readonly id: string;
  readonly icon: IconName;
  readonly name: string;
  readonly about: string;
  readonly to: string;
}

interface Props {
  readonly screens: readonly Screen[];
  readonly root: string;
  readonly onClose: () => void;
}

const mostFound = 8;

/** Screens by name, and what the server finds: tenants at the platform, records in a tenant. */
export function Palette({ screens, root, onClose }: Props) {
  const t = useText(texts);
  const language = useLanguage();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const found = useFound(useDebounced(typed.trim()), root);
  const { permissions } = useMe();
  const isPermitted = ({ permission }: Action) =>
    permission === undefined || permissions.includes(permission);
  const wanted = typed.trim().toLowerCase();
  const entries: Entry[] = screens
    .filter((screen) => !screen.hidden)
    .flatMap((screen) =>
      [screen, ...(screen.actions ?? []).filter(isPermitted)].map((each) => ({
        id: each.path,
        icon: screen.icon,
        name: each.title[language],
        about: each === screen ? "" : screen.title[language],
        to: each.path === "" ? root : `${root}/${each.path}`,
      })),
    )
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .concat(found);
  const choose = (at: number) => {
    const entry = entries[at];
    if (!entry) return;
    onClose();
    void navigate({ href: entry.to });
  };
  const list = useOptions(entries.length, choose);
  return (
    <Dialog title={t.palette} onClose={onClose} className="choice">
      <input
        autoFocus
        type="search"
        aria-label={t.palette}
        placeholder={t.palette}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        {...list.field}
      />
      <ul {...list.list} aria-label={t.palette}>
        {entries.map((entry, at) => (
          <li key={entry.id} {...list.option(at)}>
            <Icon name={entry.icon} size={16} />
            <span>{entry.name}</span>
            <span className="quiet group">{entry.about}</span>
          </li>
        ))}
      </ul>
      {entries.length === 0 && <p className="quiet">{t.paletteEmpty}</p>}
    </Dialog>
  );
}

function useFound(q: string, root: string): readonly Entry[] {
  const { key, client, tenant } = useApiContext();
  const { data } = useQuery({
    queryKey: [...key, "palette", q],
    enabled: q.length > 1,
    queryFn: async ({ signal }): Promise<readonly Entry[]> => {
      if (tenant === undefined) {
        const query: object = { q, limit: mostFound };
        const { items } = await client.get("/tenants", { params: { query }, signal });
        return items.map((each) => ({
          id: each.id,
          icon: "tenants",
          name: each.name,
          about: each.key,
          to: `/p/tenants/${each.key}`,
        }));
      }
      const { items } = await client.get("/search", {
        params: { query: { q, limit: mostFound } },
        signal,
      });
      return items.map(({ id, type, title }) => ({
        id,
        icon: "data",
        name: title,
        about: type,
        to: `${root}/data/${type}s?id=${id}`,
      }));
    },
  });
  return data ?? [];
}
