import { defineApp, standardFeatures } from "insulae";
import { notes } from "./src/notes/notes.feature.ts";

/** The same for the server, the CLI and tests. */
export default defineApp({ name: "my-app", features: [...standardFeatures, notes] });
