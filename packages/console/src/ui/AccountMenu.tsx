import { Link } from "@tanstack/react-router";
import { useId } from "react";
import { cookieClient, useApiContext } from "../lib/context.tsx";
import { languages, setLanguage, useLanguage, useText } from "../lib/i18n.ts";
import { useMe } from "../lib/me.ts";
import { consoleUrl } from "../lib/place.ts";
import { tabs } from "../lib/session.ts";
import { chooseTheme, type ThemeChoice, useThemeChoice } from "../lib/theme.ts";
import { Icon } from "./Icon.tsx";
import { texts } from "./texts.ts";

const themes: readonly ThemeChoice[] = ["system", "light", "dark"];

export async function signOut(): Promise<void> {
  await cookieClient.signOut();
  tabs.postMessage("signed out");
  location.assign(consoleUrl("sign-in"));
}

export function AccountMenu() {
  const t = useText(texts);
  const { user, role } = useMe();
  const { impersonation } = useApiContext();
  const language = useLanguage();
  const choice = useThemeChoice();
  const id = useId();
  const name = [user.first_name, user.last_name].join(" ").trim() || user.email;
  return (
    <>
      <button
        type="button"
        className="avatar"
        popoverTarget={id}
        aria-label={`${t.accountMenu}: ${name}`}
      >
        {initials(name)}
      </button>
      <div id={id} popover="auto" className="menu account-menu">
        <p className="menu-head">
          <strong>{name}</strong>
          <span>{user.email}</span>
          {role && <span>{role}</span>}
        </p>
        {!impersonation && (
          <Link to="/me" className="menu-item">
            <Icon name="person" size={16} /> {t.accountMenu}
          </Link>
        )}
        <fieldset>
          <legend>{t.theme}</legend>
          {themes.map((theme) => (
            <button
              key={theme}
              type="button"
              aria-pressed={choice === theme}
              onClick={() => chooseTheme(theme)}
            >
              {t[theme]}
            </button>
          ))}
        </fieldset>
        <fieldset>
          <legend>{t.language}</legend>
          {languages.map((each) => (
            <button
              key={each}
              type="button"
              lang={each}
              aria-pressed={language === each}
              onClick={() => setLanguage(each)}
            >
              {each === "en" ? "English" : "Deutsch"}
            </button>
          ))}
        </fieldset>
        {!impersonation && (
          <button type="button" className="menu-item" onClick={() => void signOut()}>
            <Icon name="out" size={16} /> {t.signOut}
          </button>
        )}
      </div>
    </>
  );
}

const initials = (name: string): string =>
  name
    .split(/[\s@.]+/)
    .slice(0, 2)
    .map((part) => part.charAt(0).toUpperCase())
    .join("");
