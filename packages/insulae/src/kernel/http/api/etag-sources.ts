/** Finds the GET whose entity tag `If-Match` on a change is compared with. */
import type { Feature, Route } from "../../feature/feature.ts";
import type { ErrorFactory } from "../../lib/errors.ts";
import type { TaggedAnswers } from "../reply/answer.ts";
import { invalidEntityTag, preconditionFailed } from "../reply/preconditions.ts";
import { responsesOf, routePath } from "./declarations.ts";

/** The errors of routes that accept `If-Match`. */
export const conditionErrors: readonly ErrorFactory[] = [invalidEntityTag, preconditionFailed];

/** The GETs that declare `etag`, by path. */
export type EtagSources = ReadonlyMap<string, Route>;

export const etagSources = (features: readonly Feature[]): EtagSources =>
  new Map(
    features
      .flatMap(({ routes }) => routes)
      .filter(({ options }) => options.etag !== undefined)
      .map((route) => [routePath(route), route]),
  );

/**
 * The GET of the resource that the route changes; undefined if the route doesn't accept `If-Match`.
 */
export function etagSourceOf(route: Route, sources: EtagSources): Route | undefined {
  const { method } = route;
  const changes = method === "PUT" || method === "PATCH" || method === "DELETE";
  return changes ? sources.get(routePath(route)) : undefined;
}

/** The responses that contain the whole resource as the GET does. */
export function taggedAnswers(route: Route, sources: EtagSources): TaggedAnswers | undefined {
  const read = route.options.etag !== undefined;
  const source = read ? route : etagSourceOf(route, sources);
  const schema = source && responsesOf(source.options.response).get(200);
  if (!schema) return undefined;
  const statuses = [...responsesOf(route.options.response)].flatMap(([status, each]) =>
    each === schema ? [status] : [],
  );
  return { statuses: new Set(statuses), read };
}
