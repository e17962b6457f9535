import { defineApp, standardFeatures } from "insulae";
import { invoices } from "./invoices.feature.ts";

export default defineApp({ name: "Invoices", features: [...standardFeatures, invoices] });
