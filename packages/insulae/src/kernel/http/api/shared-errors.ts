/**
 * The errors of steps that all routes share: reading and identifying a request, limits, the
 * database. Routes don't declare them.
 */

import {
  databaseBusy,
  databaseUnavailable,
  statementTimeout,
  writeOutcomeUnknown,
} from "../../engine/errors.ts";
import { invalidCursor } from "../../feature/cursor.ts";
import {
  authenticationRequired,
  csrfRefused,
  invalidToken,
  permissionDenied,
  personalOnly,
  wrongContext,
} from "../../identity/errors.ts";
import type { ErrorFactory } from "../../lib/errors.ts";
import {
  badRequest,
  bodyTooLarge,
  internalError,
  lengthRequired,
  malformedJson,
  notFound,
  originRefused,
  rateLimitExceeded,
  unsupportedMediaType,
  uriTooLong,
  validationFailed,
} from "../../lib/http-errors.ts";
import { invalidHost } from "../../net/hostname.ts";
import {
  tenantAccessDenied,
  tenantInactive,
  tenantNotFound,
  tenantRequired,
} from "../../tenancy/errors.ts";
import { quotaExceeded } from "../../tenancy/plans.ts";
import { invalidClientCertificate, misdirectedRequest } from "../../tls/presented-certificate.ts";
import {
  concurrentChange,
  conflict,
  invalidValue,
  referenceNotFound,
  stillReferenced,
  valueRefused,
} from "../reply/database-errors.ts";

/** Any route's. */
export const sharedErrors: readonly ErrorFactory[] = [
  badRequest,
  validationFailed,
  invalidCursor,
  invalidValue,
  invalidHost,
  tenantRequired,
  authenticationRequired,
  invalidToken,
  invalidClientCertificate,
  wrongContext,
  originRefused,
  csrfRefused,
  permissionDenied,
  personalOnly,
  tenantAccessDenied,
  tenantInactive,
  tenantNotFound,
  notFound,
  uriTooLong,
  misdirectedRequest,
  rateLimitExceeded,
  quotaExceeded,
  internalError,
  databaseBusy,
  databaseUnavailable,
  statementTimeout,
];

/** Those of routes that change something or accept a body. */
export const sharedErrorsOfChanges: readonly ErrorFactory[] = [
  malformedJson,
  bodyTooLarge,
  lengthRequired,
  unsupportedMediaType,
  conflict,
  stillReferenced,
  concurrentChange,
  referenceNotFound,
  valueRefused,
  writeOutcomeUnknown,
];
