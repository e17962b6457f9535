import { Link, useParams } from "@tanstack/react-router";
import { Button } from "antd";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { useMay } from "../../../lib/me.ts";
import { Pill, ScreenFrame, Time } from "../../../ui/parts.tsx";
import { ResourceList } from "../../../ui/ResourceList.tsx";
import { Empty } from "../../../ui/states.tsx";
import { texts } from "./texts.ts";
import { User } from "./User.tsx";

const roles = ["owner", "admin", "manager", "user", "viewer"];

export default function Users() {
  const { id } = useParams({ strict: false }) as { readonly id?: string };
  return id === undefined ? <UserList /> : <User id={id} />;
}

function UserList() {
  const t = useText(texts);
  const may = useMay();
  const { tenant } = useApiContext();
  const invite = may("users:write") && (
    <Link to={`/t/${tenant}/invitations`} search={{ new: "1" } as never}>
      <Button type="primary" data-new>
        {t.invite}
      </Button>
    </Link>
  );
  return (
    <ScreenFrame title={t.title} about={t.about} actions={invite}>
      <ResourceList
        of="/users"
        label={t.title}
        read={(api, query, signal) =>
          api.get("/users", { params: { query: { limit: 50, ...query } as object }, signal })
        }
        rowKey={(user) => user.id}
        filters={[
          { name: "q", label: t.search },
          { name: "role", label: t.role, options: roles.map((value) => ({ value, label: value })) },
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
            title: t.name,
            render: (user) => (
              <Link to={`/t/${tenant}/users/${user.id}`}>
                {`${user.first_name} ${user.last_name}`.trim() || user.email}
              </Link>
            ),
          },
          { title: t.email, render: ({ email }) => <span className="cut">{email}</span> },
          { title: t.role, render: ({ role }) => <Pill>{role}</Pill> },
          {
            title: t.state,
            render: ({ is_active }) =>
              is_active ? (
                <Pill kind="good">{t.active}</Pill>
              ) : (
                <Pill kind="warn">{t.inactive}</Pill>
              ),
          },
          { title: t.joined, render: ({ created_at }) => <Time at={created_at} /> },
        ]}
        empty={
          <Empty title={t.empty} about={t.emptyAbout}>
            {invite}
          </Empty>
        }
      />
    </ScreenFrame>
  );
}
