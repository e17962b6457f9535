import type { Schemas } from "@insulae/client";
import { Link, useParams } from "@tanstack/react-router";
import { useText } from "../../../lib/i18n.ts";
import { Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";
import { Account } from "./Account.tsx";
import { texts } from "./texts.ts";

export default function Accounts() {
  const { id } = useParams({ strict: false }) as { readonly id?: string };
  return id === undefined ? <AccountList /> : <Account id={id} />;
}

function AccountList() {
  const t = useText(texts);
  const yesOrNo = [
    { value: "true", label: t.yes },
    { value: "false", label: t.no },
  ];
  return (
    <ScreenFrame title={t.title} about={t.about}>
      <ResourceList<Schemas["Account"]>
        of="/platform/accounts"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/platform/accounts", {
            params: { query: { limit: 50, ...query } as object },
            signal,
          })
        }
        rowKey={({ id }) => id}
        filters={[
          { name: "q", label: t.search },
          { name: "platform_admin", label: t.administrator, options: yesOrNo },
          {
            name: "is_active",
            label: t.state,
            options: [
              { value: "true", label: t.active },
              { value: "false", label: t.inactive },
            ],
          },
        ]}
        columns={[
          {
            title: t.email,
            render: ({ id, email }) => (
              <Link to={`/p/accounts/${id}`} className="cut">
                {email}
              </Link>
            ),
          },
          {
            title: t.name,
            render: (account) => `${account.first_name} ${account.last_name}`.trim() || "–",
          },
          {
            title: t.state,
            render: ({ is_active, email_verified }) => (
              <span className="inline">
                <Pill kind={is_active ? "good" : "bad"}>{is_active ? t.active : t.inactive}</Pill>
                {!email_verified && <Pill kind="warn">{t.notVerified}</Pill>}
              </span>
            ),
          },
          {
            title: t.administrator,
            render: ({ platform_admin }) => (platform_admin ? t.yes : "–"),
          },
          { title: t.created, render: ({ created_at }) => <Time at={created_at} /> },
        ]}
        empty={<Empty title={t.empty} />}
      />
    </ScreenFrame>
  );
}
