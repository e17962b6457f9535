import type { Schemas } from "@insulae/client";
import { Button, Popconfirm } from "antd";
import { useAct, useList } from "../../lib/api.ts";
import { useText } from "../../lib/i18n.ts";
import { consoleUrl } from "../../lib/place.ts";
import { tabs } from "../../lib/session.ts";
import { Pill, Time } from "../../ui/parts.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { Problem } from "../../ui/states.tsx";
import { texts as shared } from "../../ui/texts.ts";
import { texts } from "./texts.ts";

export function Sessions() {
  const t = useText(texts);
  const s = useText(shared);
  const list = useList<Schemas["Session"]>(["/auth/sessions"], (api, cursor, signal) =>
    api.get("/auth/sessions", {
      params: { query: { limit: 50, ...(cursor && { cursor }) } },
      signal,
    }),
  );
  const end = useAct(
    (api, id: string) => api.delete("/auth/sessions/{id}", { params: { path: { id } } }),
    { changes: ["/auth/sessions"] },
  );
  const endAll = useAct(async (api, _: undefined) => {
    await api.post("/auth/logout-all");
    tabs.postMessage("signed out");
    location.assign(consoleUrl("sign-in"));
  });
  // What a code of RFC 8176 means; "mfa" only sums up the others.
  const ways: Readonly<Record<string, string>> = {
    pwd: t.password,
    otp: t.kindTotp,
    hwk: t.kindPasskey,
    fed: t.provider,
  };
  if (list.error) return <Problem error={list.error} onRetry={() => void list.refetch()} />;
  if (list.isPending) return <Skeleton />;
  const failure = end.error ?? endAll.error;
  return (
    <>
      <div className="screen-head">
        <p className="quiet">{t.sessionsAbout}</p>
        <div className="actions">
          <Popconfirm
            title={t.endAll}
            description={t.endAllAbout}
            onConfirm={() => endAll.mutate(undefined)}
          >
            <Button danger loading={endAll.isPending}>
              {t.endAll}
            </Button>
          </Popconfirm>
        </div>
      </div>
      {failure && <Problem error={failure} />}
      <ul className="cards">
        {list.items.map((session) => (
          <li key={session.id}>
            <div className="screen-head flush">
              <span className="inline">
                <strong>{browserOf(session.user_agent)}</strong>
                <span className="mono quiet">{session.ip ?? ""}</span>
                {session.current && <Pill kind="good">{t.thisOne}</Pill>}
                {session.impersonated && <Pill kind="warn">{t.impersonated}</Pill>}
              </span>
              {!session.current && (
                <div className="actions">
                  <Button
                    loading={end.isPending && end.variables === session.id}
                    onClick={() => end.mutate(session.id)}
                  >
                    {t.end}
                  </Button>
                </div>
              )}
            </div>
            <span className="quiet" title={session.user_agent ?? ""}>
              {t.firstSeen} <Time at={session.created_at} /> · {t.lastUsed}{" "}
              <Time at={session.last_used_at} /> ·{" "}
              {session.amr.flatMap((each) => ways[each] ?? []).join(", ")}
            </span>
          </li>
        ))}
      </ul>
      {list.hasNextPage && (
        <div className="load-more">
          <Button loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {s.loadMore}
          </Button>
        </div>
      )}
    </>
  );
}

const browsers = ["Edg", "OPR", "Firefox", "Chrome", "Safari", "curl", "node"];
const systems = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"];

/** What a user agent says it is, in a word or two; whole if it is none that is known. */
function browserOf(agent: string | null): string {
  if (!agent) return "–";
  const [browser, system] = [browsers, systems].map((names) =>
    names.find((name) => agent.includes(name)),
  );
  return [browser === "Edg" ? "Edge" : browser, system].filter(Boolean).join(", ") || agent;
}
