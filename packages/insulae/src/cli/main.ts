#!/usr/bin/env node
/** The command `insulae`. Modules are loaded only when needed, to start fast. */
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";
import { allocateYoung } from "./heap.ts";

allocateYoung();

const args = process.argv.slice(2);
// Loading the server takes a second, and the first start of its database several: show that
// something happens.
const { APP_ENV, NODE_ENV, RUST_ENV, INSULAE_WORKER } = process.env;
const environment = APP_ENV || NODE_ENV || RUST_ENV;
const isWatched = environment !== "production" && INSULAE_WORKER === undefined;
const command = args[0] === "--app" ? args[2] : args[0];
if ((command === "start" || command === "dev") && isWatched && !args.includes("--json"))
  process.stderr.write("Loading …\n");

// Next to the code that is cached: only those who can change the code can change the cache.
enableCompileCache(fileURLToPath(new URL("../../node_modules/.cache/compile", import.meta.url)));
const { runCommandLine } = await import("./program.ts");
await runCommandLine(args);
