import { createApp, standardFeatures } from "insulae";
import { bundlePage, page } from "./page.feature.ts";

const app = await createApp({
  name: "Address book",
  features: [...standardFeatures, page(await bundlePage())],
});
console.log(`The page is at ${await app.run()}/book`);
