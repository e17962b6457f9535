import { join } from "node:path";
import type { Config } from "../../config/config.ts";
import type { Secrets } from "../lib/secrets.ts";
import { createGrants } from "./grants.ts";
import { createLocalDriver } from "./local-driver.ts";
import { createLocalFiles } from "./local-files.ts";
import { createS3Driver } from "./s3-driver.ts";
import { createStorage, type Storage } from "./storage.ts";

/** Opens the configured storage. Nothing is accessed before first use. */
export function openStorage(config: Config, secrets: Secrets): Storage {
  const { cdnBaseUrl, s3, aws } = config;
  if (s3) return createStorage(createS3Driver({ s3, aws, cdnBaseUrl }));
  const folder = join(config.dataDir, "files");
  const grants = createGrants(secrets.derive("storage-urls", 32));
  const bases = {
    uploadBase: () => config.baseUrl,
    downloadBase: () => cdnBaseUrl ?? config.baseUrl,
  };
  const driver = createLocalDriver({ folder, grants, ...bases });
  return createStorage(driver, createLocalFiles({ folder, grants, driver }));
}
