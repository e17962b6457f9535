import { createApp, standardFeatures } from "insulae";
import { bundlePage, page } from "./page.feature.ts";

const app = await createApp({ features: [...standardFeatures, page(await bundlePage())] });
console.log(`The address book is at ${await app.listen()}/book`);

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void app.close());
