#!/usr/bin/env node
/**
 * The command `insulae` as it is installed. This file only looks at Node's version, in syntax that any Node
 * understands; the rest is loaded where it can run.
 */
import { nodeProblem } from "../node-version.ts";

if (nodeProblem === undefined) import("./main.ts");
else {
  console.error(nodeProblem);
  process.exitCode = 1;
}
