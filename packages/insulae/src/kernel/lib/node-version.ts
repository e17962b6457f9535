/** Imports nothing, and is written in syntax that any Node understands: it has to run where the rest can't. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

/** Why this Node can't run Insulae; undefined if it can. */
export const nodeProblem: string | undefined =
  major > 22 || (major === 22 && minor >= 18)
    ? undefined
    : `Insulae needs Node 22.18 or later; this is Node ${process.versions.node}. Get a newer one: https://nodejs.org`;
