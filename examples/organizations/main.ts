import { createApp, standardFeatures } from "insulae";
import { organizations } from "./organizations.feature.ts";

const app = await createApp({
  name: "Organizations",
  features: [...standardFeatures, organizations],
});
await app.run();
