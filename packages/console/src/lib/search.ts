import { useNavigate, useSearch } from "@tanstack/react-router";

export type Search = Readonly<Record<string, string | undefined>>;

/** The filters and the tab of a screen: they are in its address. */
export function useFilters(): readonly [Search, (change: Search) => void] {
  const search: Search = useSearch({ strict: false });
  const navigate = useNavigate();
  const change = (changed: Search) =>
    void navigate({ to: ".", search: { ...search, ...changed } as never, replace: true });
  return [search, change];
}
