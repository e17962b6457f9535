import { useState } from "react";
import { useText } from "../lib/i18n.ts";
import { asClientCode, asCurl, type Sent, useRequests } from "../lib/requests.ts";
import { CopyButton } from "./CopyButton.tsx";
import { Icon } from "./Icon.tsx";
import { texts } from "./texts.ts";

/** The requests that this tab has made, to be repeated elsewhere. */
export function ApiDrawer({ onClose }: { readonly onClose: () => void }) {
  const t = useText(texts);
  const requests = useRequests();
  const [as, setAs] = useState<"curl" | "code">("curl");
  return (
    <aside
      className="api-drawer"
      aria-label={t.apiTitle}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <div className="drawer-head">
        <h2>{t.apiTitle}</h2>
        <div className="segments">
          <button type="button" aria-pressed={as === "curl"} onClick={() => setAs("curl")}>
            {t.curl}
          </button>
          <button type="button" aria-pressed={as === "code"} onClick={() => setAs("code")}>
            {t.code}
          </button>
        </div>
        <button type="button" className="icon-button" aria-label={t.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <p className="quiet">{requests.length === 0 ? t.apiEmpty : t.apiAbout}</p>
      <ol>
        {requests.map((sent) => (
          <Request key={sent.id} sent={sent} as={as} />
        ))}
      </ol>
    </aside>
  );
}

function Request({ sent, as }: { readonly sent: Sent; readonly as: "curl" | "code" }) {
  const t = useText(texts);
  const { method, url, status, ms, requestId, rateLimit } = sent;
  const { pathname, search } = new URL(url);
  const code = as === "curl" ? asCurl(sent) : asClientCode(sent);
  return (
    <li>
      <details>
        <summary>
          <b className={status < 400 ? "good" : "bad"}>{status}</b>
          <span className="method">{method}</span>
          <span className="path">
            {pathname}
            {search}
          </span>
          <span className="quiet">{ms.toFixed(0)} ms</span>
        </summary>
        <div className="code">
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <pre tabIndex={0}>{code}</pre>
          <CopyButton text={code} />
        </div>
        <p className="quiet">
          {requestId && `${t.requestId} ${requestId}`}
          {rateLimit && ` · RateLimit ${rateLimit}`}
        </p>
      </details>
    </li>
  );
}
