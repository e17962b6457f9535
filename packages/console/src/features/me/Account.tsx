import { Descriptions } from "antd";
import { useText } from "../../lib/i18n.ts";
import { useMe } from "../../lib/me.ts";
import { Id, Pill, ScreenFrame, Time } from "../../ui/parts.tsx";
import { ScreenTabs } from "../../ui/ScreenTabs.tsx";
import { Security } from "./Security.tsx";
import { Sessions } from "./Sessions.tsx";
import { Tenants } from "./Tenants.tsx";
import { texts } from "./texts.ts";

export default function Account() {
  const t = useText(texts);
  const { tenant } = useMe();
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <ScreenTabs
        label={t.title}
        tabs={[
          // At a tenant's own host people are in that tenant and in no other.
          ...(tenant ? [] : [{ key: "tenants", label: t.tenants, children: <Tenants /> }]),
          { key: "profile", label: t.profile, children: <Profile /> },
          { key: "security", label: t.security, children: <Security /> },
          { key: "sessions", label: t.sessions, children: <Sessions /> },
        ]}
      />
    </ScreenFrame>
  );
}

function Profile() {
  const t = useText(texts);
  const { user, role } = useMe();
  const name = `${user.first_name} ${user.last_name}`.trim();
  return (
    <div className="panel">
      <Descriptions
        column={{ xs: 1, md: 2 }}
        items={[
          { key: "name", label: t.name, children: name || "–" },
          {
            key: "email",
            label: t.email,
            children: (
              <span className="inline">
                {user.email}
                <Pill kind={user.email_verified ? "good" : "warn"}>
                  {user.email_verified ? t.verified : t.notVerified}
                </Pill>
              </span>
            ),
          },
          ...(user.username
            ? [{ key: "username", label: t.username, children: user.username }]
            : []),
          {
            key: "role",
            label: t.role,
            children: user.platform_admin ? t.platformAdmin : (role ?? "–"),
          },
          { key: "since", label: t.since, children: <Time at={user.created_at} /> },
          { key: "id", label: "Id", children: <Id id={user.id} /> },
        ]}
      />
    </div>
  );
}
