#!/usr/bin/env node
/** The command `insulae`. Whatever it runs is loaded when it is needed: starting up fast is a feature. */
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";
import { allocateYoung } from "./heap.ts";

allocateYoung();

// Beside the code that is cached, so that whoever could write into the cache could write that too.
enableCompileCache(fileURLToPath(new URL("../../node_modules/.cache/compile", import.meta.url)));
const { runCommandLine } = await import("./program.ts");
await runCommandLine(process.argv.slice(2));
