import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useGet } from "../../../lib/api.ts";
import { useApiContext } from "../../../lib/context.tsx";
import { useText } from "../../../lib/i18n.ts";
import { ActionButton } from "../../../ui/ActionButton.tsx";
import { Pill, ScreenFrame } from "../../../ui/parts.tsx";
import { Skeleton } from "../../../ui/Skeleton.tsx";
import { Empty, Problem } from "../../../ui/states.tsx";
import { NewProvider } from "./NewProvider.tsx";
import { Provider } from "./Provider.tsx";
import { texts } from "./texts.ts";

export default function IdentityProviders() {
  const { id } = useParams({ strict: false }) as { readonly id?: string };
  if (id === undefined) return <ProviderList />;
  return id === "new" ? <NewProvider /> : <Provider id={id} />;
}

function ProviderList() {
  const t = useText(texts);
  const { tenant } = useApiContext();
  const navigate = useNavigate();
  const list = useGet(["/identity-providers"], (api, signal) =>
    api.get("/identity-providers", { signal }),
  );
  if (list.error) return <Problem error={list.error} onRetry={() => void list.refetch()} />;
  if (!list.data) return <Skeleton />;
  const root = `/t/${tenant}/identity-providers`;
  const button = (
    <ActionButton
      operation="post /identity-providers"
      type="primary"
      data-new
      onClick={() => void navigate({ to: `${root}/new` })}
    >
      {t.add}
    </ActionButton>
  );
  const { items } = list.data;
  return (
    <ScreenFrame title={t.title} about={t.about} actions={items.length > 0 && button}>
      {items.length === 0 && (
        <Empty title={t.empty} about={t.emptyAbout}>
          {button}
        </Empty>
      )}
      <ul className="cards">
        {items.map(({ id, name, issuer, enabled }) => (
          <li key={id}>
            <span className="inline">
              <Link to={`${root}/${id}`}>
                <strong>{name}</strong>
              </Link>
              <Pill kind={enabled ? "good" : "warn"}>{enabled ? t.enabled : t.disabled}</Pill>
            </span>
            <span className="mono quiet">{issuer}</span>
          </li>
        ))}
      </ul>
    </ScreenFrame>
  );
}
