import { join } from "node:path";
import type { Config } from "../../config.ts";
import type { Secrets } from "../secrets.ts";
import { createGrants } from "./grants.ts";
import { createLocalDriver } from "./local-driver.ts";
import { createLocalFiles } from "./local-files.ts";
import { createStorage, type Storage } from "./storage.ts";

/** Opens where the configuration says that files are. Nothing is touched before it is used. */
export function openStorage(config: Config, secrets: Secrets): Storage {
  const { baseUrl, cdnBaseUrl = baseUrl } = config;
  const folder = join(config.dataDir, "files");
  const grants = createGrants(secrets.derive("storage-urls", 32));
  const bases = { uploadBase: baseUrl, downloadBase: cdnBaseUrl };
  const driver = createLocalDriver({ folder, grants, ...bases });
  return createStorage(driver, createLocalFiles({ folder, grants, driver }));
}
