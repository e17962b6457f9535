/**
 * Builds the OpenAPI 3.1 document from the declarations that the routes run by, so the two can't
 * differ. It is complete enough to generate a client from.
 *
 * A schema whose `$id` or `title` is an identifier becomes a component, so that generated types
 * have names.
 */

import type { Feature, Route } from "../../feature/feature.ts";
import { takesMachines } from "../../identity/personal.ts";
import type { ErrorFactory } from "../../lib/errors.ts";
import { rateLimitExceeded, validationFailed } from "../../lib/http-errors.ts";
import { quotaExceeded } from "../../tenancy/plans.ts";
import { closedSchema, type JsonSchema } from "../../validation/schemas.ts";
import { formMediaType, isBodyOptional, takesForm } from "../body/form-body.ts";
import { streamKindOf, streamMediaType } from "../body/stream-body.ts";
import { pathParameters, responsesOf, routePath } from "./declarations.ts";
import { ownErrors } from "./declared-errors.ts";
import { type EtagSources, etagSourceOf, etagSources, taggedAnswers } from "./etag-sources.ts";
import { takesIdempotencyKey } from "./idempotency-key.ts";
import { hintsOf } from "./openapi-hints.ts";
import { asComponent, type Components } from "./openapi-schemas.ts";
import { sharedErrors, sharedErrorsOfChanges } from "./shared-errors.ts";

export interface OpenApiOptions {
  readonly features: readonly Feature[];
  readonly version: string;
  readonly baseUrl: string;
  /** Default: Insulae. */
  readonly title?: string | undefined;
  readonly description?: string | undefined;
}

interface Document {
  readonly components: Components;
  readonly sources: EtagSources;
}

export function openApiDocument(options: OpenApiOptions): JsonSchema {
  const components: Components = new Map([["Problem", problemSchema]]);
  const paths: Record<string, Record<string, unknown>> = {};
  const operationIds = new Set<string>();
  const sources = etagSources(options.features);
  for (const feature of options.features) {
    for (const route of feature.routes) {
      const path = routePath(route).replaceAll(/:([^/]+)/g, "{$1}");
      const item = paths[path] ?? {};
      paths[path] = item;
      const id = unique(operationIdOf(route), operationIds);
      item[route.method.toLowerCase()] = operation(route, feature, id, { components, sources });
    }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: options.title ?? "Insulae",
      version: options.version,
      description:
        options.description ??
        "A multi-tenant backend. Every error is an `application/problem+json` (RFC 9457).",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: options.baseUrl }],
    tags: options.features
      .filter((feature) => feature.routes.length > 0)
      .map((feature) => ({ name: feature.name })),
    security: [{ bearer: [] }, { cookie: [], csrfToken: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        cookie: { type: "apiKey", in: "cookie", name: "__Host-insulae" },
        csrfToken: { type: "apiKey", in: "header", name: "X-CSRF-Token" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
      },
      schemas: Object.fromEntries(components),
      responses: { Problem: { description: anyError, content: problemContent } },
    },
  };
}

function operation(
  route: Route,
  feature: Feature,
  operationId: string,
  document: Document,
): JsonSchema {
  const { components } = document;
  const { summary, description, body } = route.options;
  return {
    operationId,
    tags: [feature.name],
    summary,
    description: [description, accessText(route)].filter(Boolean).join("\n\n"),
    ...hintsOf(route),
    ...securityOf(route),
    parameters: parameters(route, document),
    ...(body ? { requestBody: requestBody(body, route, components) } : {}),
    responses: responses(route, document),
  };
}

/** Only where it differs from the document's own `security`. */
function securityOf(route: Route): { readonly security?: readonly object[] } {
  if (route.options.permission === "public") return { security: [] };
  return takesMachines(route) ? { security: [{ bearer: [] }, { apiKey: [] }] } : {};
}

function accessText(route: Route): string {
  const { permission, personal, impersonators, orPlatform } = route.options;
  if (permission === "public") return "Anybody may call this.";
  if (permission === "authenticated") return "Any signed-in caller may call this.";
  if (permission === "platform") return "Platform administrators may call this.";
  const alone = personal
    ? " Not available to impersonators or machines."
    : impersonators === false
      ? " Not available to impersonators."
      : "";
  const others = orPlatform ? " Platform administrators may call it too." : "";
  return `Needs the permission \`${permission}\`.${others}${alone}`;
}

function parameters(route: Route, { components, sources }: Document): unknown[] {
  const from = (part: "params" | "query", place: "path" | "query", only?: readonly string[]) => {
    const schema = route.options[part];
    if (!schema) return [];
    const closed = closedSchema(schema, part);
    const required = Array.isArray(closed.required) ? closed.required : [];
    return Object.entries((closed.properties ?? {}) as Record<string, JsonSchema>)
      .filter(([name]) => only === undefined || only.includes(name))
      .map(([name, { description, ...property }]) => ({
        name,
        in: place,
        required: place === "path" || required.includes(name),
        ...(description === undefined ? {} : { description }),
        schema: asComponent(property, components),
      }));
  };
  return [
    ...from("params", "path", pathParameters(route.path)),
    ...from("query", "query"),
    ...(takesIdempotencyKey(route) ? [idempotencyKeyParameter] : []),
    ...(route.options.etag === undefined ? [] : [ifNoneMatchParameter]),
    ...(etagSourceOf(route, sources) ? [ifMatchParameter] : []),
  ];
}

/** `*`, or a list of quoted tags. */
const entityTags = {
  type: "string",
  pattern: '^(\\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$',
  examples: ['"bHrT0WKs5NGtJtbIAEd1zw"'],
};

const ifMatchParameter = {
  name: "If-Match",
  in: "header",
  required: false,
  description:
    "The `ETag` you read. If the resource has changed since, the request fails with 412.",
  schema: entityTags,
};

const ifNoneMatchParameter = {
  name: "If-None-Match",
  in: "header",
  required: false,
  description: "The `ETag` you have. If it is current, the response is 304.",
  schema: entityTags,
};

const etagHeader = {
  description: "Identifies this version of the resource. Changes with every change.",
  schema: { type: "string" },
};

const locationHeader = {
  description: "The address to go to.",
  required: true,
  schema: { type: "string", format: "uri" },
};

const idempotencyKeyParameter = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description:
    "A new random string for each resource to create. A retry with the same key and body returns the first response, with `Idempotent-Replayed: true`, for a day.",
  schema: { type: "string", pattern: '^("[!#-~]{1,255}"|[!#-~]{1,255})$' },
};

function requestBody(body: object, route: Route, components: Components): JsonSchema {
  const stream = streamKindOf(route);
  // Closed, as in validation, so that clients see that other fields are refused.
  const content = { schema: asComponent(closedBody(body), components) };
  return {
    required: !isBodyOptional(body),
    content: {
      [stream ? streamMediaType(stream) : "application/json"]: content,
      ...(takesForm(body) && { [formMediaType]: content }),
    },
  };
}

/** Keeps the names, which closing removes. */
function closedBody(body: object): JsonSchema {
  const id: unknown = Reflect.get(body, "$id");
  return { ...closedSchema(body, "body"), ...(typeof id === "string" ? { $id: id } : {}) };
}

function responses(route: Route, { components, sources }: Document): JsonSchema {
  const tagged = taggedAnswers(route, sources);
  const declared = [...responsesOf(route.options.response)].map(([status, schema]) => [
    String(status),
    {
      description: descriptionOf(schema) ?? outcome(status),
      ...(tagged?.statuses.has(status) ? { headers: { ETag: etagHeader } } : {}),
      ...(isRedirect(status) ? { headers: { Location: locationHeader } } : {}),
      ...(schema
        ? {
            content: contentOf(schema as JsonSchema, components),
          }
        : {}),
    },
  ]);
  return {
    ...problemResponses(route, sources, errorContent(route, components)),
    ...(tagged?.read
      ? { 304: { description: "Not modified", headers: { ETag: etagHeader } } }
      : {}),
    ...Object.fromEntries(declared),
    default: route.options.errorShape
      ? {
          description: "Any other error; a problem document if it occurs before the route is known",
          content: { ...errorContent(route, components), ...problemContent },
        }
      : { $ref: "#/components/responses/Problem" },
  };
}

function errorContent(route: Route, components: Components): JsonSchema {
  const shape = route.options.errorShape?.schema;
  // TypeBox schemas are JSON Schema.
  return shape
    ? { "application/json": { schema: asComponent(shape as JsonSchema, components) } }
    : problemContent;
}

function outcome(status: number): string {
  if (status === 101) return "Switches to the WebSocket protocol";
  if (status < 300) return "Done";
  return isRedirect(status) ? "Redirect" : "Not done";
}

const isRedirect = (status: number): boolean => status >= 300 && status < 400;

function problemResponses(route: Route, sources: EtagSources, content: JsonSchema): JsonSchema {
  const { permission, params, query, body } = route.options;
  const byStatus = new Map<number, string[]>();
  const add = (status: number, text: string) =>
    byStatus.set(status, [...(byStatus.get(status) ?? []), text]);
  if (params || query || body) add(400, explain(validationFailed));
  if (permission !== "public") {
    if (!route.options.socket) add(401, "Missing or invalid credentials");
    add(403, "The caller lacks the permission");
  }
  add(rateLimitExceeded.status, explain(rateLimitExceeded));
  // Tenants' requests also have a daily quota.
  const quota = permission !== "public" && route.options.context !== "core" ? [quotaExceeded] : [];
  for (const error of new Set([...ownErrors(route, sources), ...quota])) {
    add(error.status, explain(error));
  }
  return Object.fromEntries(
    [...byStatus].map(([status, texts]) => [
      String(status),
      { description: texts.join("\n\n"), content },
    ]),
  );
}

const explain = (error: ErrorFactory): string => `\`${error.code}\`: ${error.title}`;

/** A text response of several types is a union, one member per type. */
function contentOf(schema: JsonSchema, components: Components): JsonSchema {
  const { anyOf = [] } = schema;
  const kinds = (anyOf as JsonSchema[]).filter((kind) => kind.contentMediaType !== undefined);
  return Object.fromEntries(
    (kinds.length > 0 ? kinds : [schema]).map((kind) => [
      mediaTypeOf(kind),
      { schema: asComponent(kind, components) },
    ]),
  );
}

/** A schema of text other than JSON declares `contentMediaType`. */
function mediaTypeOf(schema: object): string {
  const type: unknown = Reflect.get(schema, "contentMediaType");
  return typeof type === "string" ? type : "application/json";
}

function descriptionOf(schema: object | null): string | undefined {
  const text: unknown = schema && Reflect.get(schema, "description");
  return typeof text === "string" ? text : undefined;
}

/** `GET /api/v1/contacts/:id` → `getContactsById`. */
function operationIdOf(route: Route): string {
  const words = route.path
    .split("/")
    .filter(Boolean)
    .map((part) => (part.startsWith(":") ? `by-${part.slice(1)}` : part))
    .flatMap((part) => part.split(/[^A-Za-z0-9]+/))
    .filter(Boolean);
  return [
    route.method.toLowerCase(),
    ...words.map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`),
  ].join("");
}

function unique(name: string, taken: Set<string>): string {
  let candidate = name;
  for (let i = 2; taken.has(candidate); i++) candidate = `${name}${i}`;
  taken.add(candidate);
  return candidate;
}

const anyError = [
  "An error. Besides those listed on a route, any route can return the shared errors:",
  ...[...sharedErrors, ...sharedErrorsOfChanges]
    .toSorted((a, b) => a.status - b.status)
    .map((error) => `${error.status} ${explain(error)}`),
].join("\n\n");

const problemContent = {
  "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
};

export const problemSchema: JsonSchema = {
  type: "object",
  required: ["type", "title", "status", "code", "request_id"],
  properties: {
    type: { type: "string", format: "uri", description: "`urn:insulae:problem:` and the code" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", description: "Stable. Programs should branch on this." },
    request_id: { type: "string", description: "Identifies the request in the server's log" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["pointer", "message"],
        properties: {
          pointer: { type: "string", description: "A JSON pointer into the request" },
          message: { type: "string" },
        },
      },
    },
  },
};
