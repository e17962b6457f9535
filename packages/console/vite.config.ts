import { readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { antdCss } from "./build/antd-css.ts";

const server = process.env.INSULAE_URL ?? "http://localhost:8000";

/** See `build/dynamic-css.js`. The build fails if antd's module has moved. */
function strictStyles(): Plugin {
  const replacement = readFileSync(new URL("./build/dynamic-css.js", import.meta.url), "utf8");
  let replaced = 0;
  return {
    name: "strict-styles",
    load(id) {
      if (!/@rc-component\/util\/(lib|es)\/Dom\/dynamicCSS\.js/.test(id)) return null;
      replaced += 1;
      return replacement;
    },
    buildEnd(error) {
      if (!error && replaced === 0)
        throw new Error("@rc-component/util has no dynamicCSS any more");
    },
  };
}

/** `virtual:antd.css`: the CSS of antd's components, made now instead of in the browser. */
function staticAntdCss(): Plugin {
  const name = "virtual:antd.css";
  return {
    name: "antd-css",
    resolveId: (id) => (id === name ? `\0${name}` : null),
    load: (id) => (id === `\0${name}` ? antdCss() : null),
  };
}

export default defineConfig({
  // All that the pages load is relative to their `<base>`, which the server sets.
  base: "./",
  plugins: [react(), strictStyles(), staticAntdCss()],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ["index.html", "auth.html"] },
    chunkSizeWarningLimit: 1000,
  },
  server: {
    proxy: { "/api": { target: server, ws: true }, "/health": server, "/api-docs": server },
  },
});
