#!/usr/bin/env node
/**
 * The installed command `insulae`. This file only checks Node's version, in syntax that any Node
 * understands, before it loads the rest.
 */
import { nodeProblem } from "../kernel/lib/node-version.ts";

if (nodeProblem === undefined) import("./main.ts");
else {
  console.error(nodeProblem);
  process.exitCode = 1;
}
