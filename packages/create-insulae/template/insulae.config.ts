import { defineApp, standardFeatures } from "insulae";
import { notes } from "./src/notes/notes.feature.ts";

/** Shared by the server, the CLI and the tests. */
export default defineApp({ name: "my-app", features: [...standardFeatures, notes] });
