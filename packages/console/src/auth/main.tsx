/** The public entry: small, since people wait for it. It has no antd, no router and no cache. */
import { type ComponentType, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { useBranding } from "../lib/branding.ts";
import { languages, setLanguage, useLanguage } from "../lib/i18n.ts";
import { consolePath } from "../lib/place.ts";
import type { ServerContext } from "../lib/server.ts";
import "../ui/theme.css";
import "./page.css";
import { call } from "./call.ts";
import {
  Callback,
  ForgotPassword,
  Invitation,
  type PageProps,
  PasswordReset,
  Register,
  SignIn,
  Start,
  VerifyEmail,
} from "./pages.tsx";

const pages: Readonly<Record<string, ComponentType<PageProps>>> = {
  callback: Callback,
  "forgot-password": ForgotPassword,
  invitation: Invitation,
  "password-reset": PasswordReset,
  register: Register,
  start: Start,
  "verify-email": VerifyEmail,
};

const Page = pages[location.pathname.slice(consolePath.length).replace(/\/$/, "")] ?? SignIn;

/** The link's token leaves the address at once: it is nobody's who looks at the screen. */
function takeToken(): string {
  const given = new URLSearchParams(location.search);
  const token = given.get("token") ?? history.state?.token ?? "";
  if (given.has("token")) {
    given.delete("token");
    const rest = given.size > 0 ? `?${given}` : "";
    history.replaceState({ token }, "", location.pathname + rest);
  }
  return token;
}
const token = takeToken();

function Entry() {
  const language = useLanguage();
  const [server, setServer] = useState<ServerContext>();
  useEffect(() => {
    call<ServerContext>("/auth/context").then(setServer, () => {});
  }, []);
  const other = languages.find((each) => each !== language) ?? "en";
  useBranding(server?.tenant?.branding?.primary_color);
  return (
    <>
      <main className="card">
        <div className="brand">
          <img src="./favicon.svg" alt="" width={28} height={28} />
          {server?.tenant?.name ?? "Insulae"}
        </div>
        <Page server={server} token={token} />
      </main>
      <footer className="foot">
        <span>
          {server && server.environment !== "production" && (
            <span className="env">{server.environment}</span>
          )}
        </span>
        <button type="button" lang={other} onClick={() => setLanguage(other)}>
          {other === "de" ? "Deutsch" : "English"}
        </button>
      </footer>
    </>
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<Entry />);
