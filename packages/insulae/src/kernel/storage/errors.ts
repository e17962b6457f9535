import { defineError } from "../errors.ts";

export const storageFull = defineError(
  "storage_full",
  507,
  "There is no room for the file at present",
);
export const storageUnavailable = defineError(
  "storage_unavailable",
  503,
  "The storage does not answer at present",
);
export const signedUrlRefused = defineError(
  "signed_url_refused",
  403,
  "This address was not given out, or is not good any more",
);
export const rangeNotSatisfiable = defineError(
  "range_not_satisfiable",
  416,
  "The file has no such part",
);
export const uploadInProgress = defineError(
  "upload_in_progress",
  409,
  "Another request is sending this file. Wait until it ends, or ask for another upload",
);
