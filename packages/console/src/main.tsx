import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { consoleUrl } from "./lib/place.ts";
import { tabs } from "./lib/session.ts";
import "./lib/theme.ts";
import "./ui/theme.css";

// After an upgrade a tab may ask for a script that is gone: the page is loaded anew, once.
addEventListener("vite:preloadError", (event) => {
  const name = "insulae.reloaded";
  if (sessionStorage.getItem(name) === location.href) return;
  sessionStorage.setItem(name, location.href);
  event.preventDefault();
  location.reload();
});

tabs.addEventListener("message", () => location.assign(consoleUrl("sign-in")));

const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
