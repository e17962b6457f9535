import { createApp, standardFeatures } from "insulae";
import { invoices } from "./invoices.feature.ts";

const app = await createApp({ features: [...standardFeatures, invoices] });
console.log(`Invoices are served at ${await app.listen()}`);

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void app.close());
