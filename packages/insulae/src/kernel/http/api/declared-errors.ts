/**
 * The errors of a route: those it declares, those of the headers it accepts, and the shared ones.
 */

import type { Route } from "../../feature/feature.ts";
import { serverBusy, tooManyAtOnce } from "../../lib/at-a-time.ts";
import type { ErrorFactory } from "../../lib/errors.ts";
import { requestTimeout } from "../../lib/http-errors.ts";
import { responsesOf } from "./declarations.ts";
import { conditionErrors, type EtagSources, etagSourceOf } from "./etag-sources.ts";
import {
  idempotencyErrors,
  keyNotTaken,
  refusesIdempotencyKey,
  takesIdempotencyKey,
} from "./idempotency-key.ts";
import { sharedErrors, sharedErrorsOfChanges } from "./shared-errors.ts";

/** The errors that the route declares, and those of the headers it accepts. */
export function ownErrors(route: Route, sources: EtagSources): readonly ErrorFactory[] {
  const conditional = route.options.etag !== undefined || etagSourceOf(route, sources);
  const errors = route.options.errors ?? [];
  return [
    ...errors,
    ...(route.options.atATime === "imports" ? [requestTimeout] : []),
    ...(route.options.atATime || errors.includes(serverBusy) ? [tooManyAtOnce, serverBusy] : []),
    ...(takesIdempotencyKey(route) ? idempotencyErrors : []),
    ...(refusesIdempotencyKey(route) ? [keyNotTaken] : []),
    ...(conditional ? conditionErrors : []),
  ];
}

export function errorSchemas(
  route: Route,
  sources: EtagSources,
  problem: object,
): ReadonlyMap<number, object> {
  const schema = route.options.errorShape?.schema ?? problem;
  const errors = [
    ...ownErrors(route, sources),
    ...sharedErrors,
    ...(route.method === "GET" ? [] : sharedErrorsOfChanges),
  ];
  const statuses = [
    ...errors.map(({ status }) => status),
    ...[...responsesOf(route.options.response).keys()].filter((status) => status >= 400),
  ];
  return new Map(statuses.map((status) => [status, schema]));
}
