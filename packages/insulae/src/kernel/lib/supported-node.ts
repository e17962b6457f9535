/** Imported before anything else of Insulae: where Node is too old, a sentence says so, in place of a stack trace. */
import { nodeProblem } from "./node-version.ts";

if (nodeProblem !== undefined) {
  console.error(nodeProblem);
  process.exit(1);
}
