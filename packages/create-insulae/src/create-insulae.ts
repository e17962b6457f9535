#!/usr/bin/env node
/**
 * The command `create-insulae`, which `npm create insulae` runs. This file only checks Node's
 * version, in syntax that any Node understands, before it loads the rest.
 */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 18)) import("./create.ts").then(({ main }) => main());
else {
  console.error(
    `Insulae needs Node 22.18 or later; this is Node ${process.versions.node}. Get a newer one: https://nodejs.org`,
  );
  process.exitCode = 1;
}
