import { createApp, standardFeatures } from "insulae";
import { invoices } from "./invoices.feature.ts";

const app = await createApp({ name: "Invoices", features: [...standardFeatures, invoices] });
await app.run();
