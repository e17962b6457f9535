import type { Schemas } from "@insulae/client";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Button, Popconfirm } from "antd";
import type { ReactNode } from "react";
import { useAct, useGet } from "../../lib/api.ts";
import { useText } from "../../lib/i18n.ts";
import { useMe } from "../../lib/me.ts";
import { consoleUrl } from "../../lib/place.ts";
import { Pill, Time } from "../../ui/parts.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../ui/states.tsx";
import { texts } from "./texts.ts";

type Own = Schemas["OwnTenants"];

export function Tenants() {
  const t = useText(texts);
  const { user } = useMe();
  const cache = useQueryClient();
  const own = useGet(["/auth/tenants"], (api, signal) => api.get("/auth/tenants", { signal }));
  const changes = { changes: ["/auth/tenants"] };
  // The switcher has them from the account.
  const refresh = () => cache.invalidateQueries({ queryKey: ["account"] });
  const join = useAct(
    (api, id: string) => api.post("/tenants/{id}/join", { params: { path: { id } } }),
    changes,
  );
  const leave = useAct(
    (api, id: string) => api.post("/tenants/{id}/leave", { params: { path: { id } } }),
    changes,
  );
  const accept = useAct(async (api, { id, tenant }: Own["invitations"][number]) => {
    await api.post("/invitations/accept", { body: { invitation_id: id, session: "cookie" } });
    // Its answer signed this browser in to the tenant; the cookie is to stay the account's.
    await api.post("/auth/switch", { body: { tenant: null } });
    location.assign(consoleUrl(`t/${tenant.key}`));
  }, changes);
  if (own.error) return <Problem error={own.error} onRetry={() => void own.refetch()} />;
  if (!own.data) return <Skeleton />;
  const { memberships, joinable, invitations } = own.data;
  const failure = join.error ?? leave.error ?? accept.error;
  return (
    <>
      {failure && <Problem error={failure} />}
      {!user.email_verified && <p className="warn">{t.verifyAbout}</p>}
      {invitations.length > 0 && <h2 className="section">{t.invitations}</h2>}
      <ul className="cards">
        {invitations.map((invitation) => (
          <TenantCard
            key={invitation.id}
            tenant={invitation.tenant}
            about={
              <>
                {t.asRole([invitation.role, ...invitation.roles].join(", "))}, {t.invitedUntil}{" "}
                <Time at={invitation.expires_at} />
              </>
            }
          >
            <Button
              type="primary"
              loading={accept.isPending && accept.variables.id === invitation.id}
              onClick={() => accept.mutate(invitation)}
            >
              {t.accept}
            </Button>
          </TenantCard>
        ))}
      </ul>
      {joinable.length > 0 && <h2 className="section">{t.joinable}</h2>}
      <ul className="cards">
        {joinable.map(({ tenant, domain, role }) => (
          <TenantCard
            key={tenant.id}
            tenant={tenant}
            about={`${t.byDomain(domain)} ${t.asRole(role)}`}
          >
            <Button
              loading={join.isPending && join.variables === tenant.id}
              onClick={() => join.mutate(tenant.id, { onSuccess: refresh })}
            >
              {t.join}
            </Button>
          </TenantCard>
        ))}
      </ul>
      {memberships.length === 0 ? (
        <Empty title={t.none} about={t.noneAbout} />
      ) : (
        <h2 className="section">{t.member}</h2>
      )}
      <ul className="cards">
        {memberships.map(({ tenant, is_owner }) => (
          <TenantCard key={tenant.id} tenant={tenant} isMember isOwner={is_owner}>
            {!is_owner && (
              <Popconfirm
                title={t.leave}
                description={t.leaveAbout(tenant.name)}
                onConfirm={() => leave.mutate(tenant.id, { onSuccess: refresh })}
              >
                <Button loading={leave.isPending && leave.variables === tenant.id}>
                  {t.leave}
                </Button>
              </Popconfirm>
            )}
          </TenantCard>
        ))}
      </ul>
    </>
  );
}

interface CardProps {
  readonly tenant: Schemas["TenantSummary"];
  readonly about?: ReactNode;
  readonly isMember?: boolean;
  readonly isOwner?: boolean;
  readonly children: ReactNode;
}

function TenantCard({ tenant, about, isMember = false, isOwner = false, children }: CardProps) {
  const t = useText(texts);
  return (
    <li>
      <div className="screen-head flush">
        <span className="inline">
          {isMember ? (
            <Link to={`/t/${tenant.key}`}>
              <strong>{tenant.name}</strong>
            </Link>
          ) : (
            <strong>{tenant.name}</strong>
          )}
          <span className="mono quiet">{tenant.key}</span>
          {isOwner && <Pill>{t.owner}</Pill>}
        </span>
        <div className="actions">{children}</div>
      </div>
      {about && <span className="quiet">{about}</span>}
    </li>
  );
}
