import { createApp, standardFeatures } from "insulae";
import { organizations } from "./organizations.feature.ts";

const app = await createApp({ features: [...standardFeatures, organizations] });
console.log(`Organizations are made at ${await app.listen()}/api/v1/organizations`);

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void app.close());
