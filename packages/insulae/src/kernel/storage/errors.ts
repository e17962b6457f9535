import { defineError } from "../lib/errors.ts";

export const storageFull = defineError(
  "storage_full",
  507,
  "The storage is full. Try again later, or ask the operator for more space.",
);
export const storageUnavailable = defineError(
  "storage_unavailable",
  503,
  "The file storage does not respond. Try again later.",
);
export const signedUrlRefused = defineError(
  "signed_url_refused",
  403,
  "The URL's signature is invalid or has expired. Request a new URL.",
);
export const rangeNotSatisfiable = defineError(
  "range_not_satisfiable",
  416,
  "The requested range is outside the file. The header Content-Range gives the file's size.",
);
export const uploadInProgress = defineError(
  "upload_in_progress",
  409,
  "Another request is uploading this file. Wait until it ends, or request another upload.",
);
