/** What the tab that acts for somebody knows of it: handed over by the tab that opened it. */

interface Details {
  readonly reason: string | undefined;
  /** As `Date.now()`. */
  readonly endsAt: number | undefined;
}

const nameOf = (id: string) => `insulae.impersonation.${id}`;

/** Opens a tab that acts for a user. @public */
export function openImpersonation(
  id: string,
  tenant: string,
  details: { readonly reason: string; readonly endsAt: number },
  consoleUrl: (path: string) => string,
): void {
  const hash = new URLSearchParams({ reason: details.reason, ends: String(details.endsAt) });
  window.open(consoleUrl(`t/${tenant}?as=${id}#${hash}`), "_blank");
}

/** They are kept in this tab's own storage, so that a reload still has them. */
export function impersonationDetails(id: string): Details {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.has("ends")) {
    sessionStorage.setItem(nameOf(id), given.toString());
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  const kept = new URLSearchParams(sessionStorage.getItem(nameOf(id)) ?? "");
  const ends = Number(kept.get("ends"));
  return { reason: kept.get("reason") ?? undefined, endsAt: ends > 0 ? ends : undefined };
}
