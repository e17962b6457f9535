/** The server's OpenAPI document: what Data is made of, an application's own features included. */
import { useQuery } from "@tanstack/react-query";
import { serverUrl } from "./place.ts";

export interface Schema {
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly title?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly $ref?: string;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly readOnly?: boolean;
  readonly examples?: readonly unknown[];
}

export interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: {
    readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
  };
  readonly responses?: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>
  >;
  readonly "x-permission"?: string;
  readonly "x-context"?: "core" | "tenant" | "any";
  readonly "x-list"?: { readonly filters?: readonly string[]; readonly order?: readonly string[] };
}

type Method = "get" | "post" | "put" | "patch" | "delete";

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Partial<Record<Method, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

export const useDocument = () =>
  useQuery({
    queryKey: ["document"],
    queryFn: async ({ signal }): Promise<ApiDocument> => {
      const response = await fetch(`${serverUrl}/api-docs/openapi.json`, { signal });
      if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
      return response.json();
    },
    staleTime: Number.POSITIVE_INFINITY,
  });

/** A schema without references and unions with null; its properties may have both. */
export function resolve(document: ApiDocument, schema: Schema | undefined): Schema {
  if (!schema) return {};
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1) ?? "";
    return resolve(document, document.components?.schemas?.[name]);
  }
  if (schema.allOf) {
    const parts = schema.allOf.map((part) => resolve(document, part));
    return {
      ...Object.assign({}, ...parts),
      properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
      required: parts.flatMap(({ required = [] }) => required),
    };
  }
  if (schema.anyOf) {
    const parts = schema.anyOf.filter(({ type }) => type !== "null");
    const [only] = parts;
    if (only && parts.length === 1) return { ...resolve(document, only), ...descriptionOf(schema) };
    if (parts.every((part) => part.const !== undefined)) {
      return { type: "string", enum: parts.map((part) => part.const), ...descriptionOf(schema) };
    }
  }
  return schema;
}

const descriptionOf = ({ description }: Schema) => (description ? { description } : {});

export const isNullable = (schema: Schema): boolean =>
  (Array.isArray(schema.type) && schema.type.includes("null")) ||
  (schema.anyOf?.some(({ type }) => type === "null") ?? false);

export const typeOf = (schema: Schema): string | undefined => {
  const { type } = schema;
  if (typeof type === "string") return type;
  return type?.find((each) => each !== "null");
};

/** Something that has a list, and what can be done with its items. */
export interface Resource {
  /** `contacts`, as in its address. */
  readonly name: string;
  /** Below `/api/v1`: `/contacts`. */
  readonly path: string;
  readonly list: Operation;
  readonly create: Operation | undefined;
  readonly read: Operation | undefined;
  readonly update: Operation | undefined;
  readonly remove: Operation | undefined;
  readonly exports: boolean;
  readonly imports: boolean;
  readonly item: Schema;
}

const prefix = "/api/v1";

/** All lists of a tenant that are addressed by one word, as `GET /contacts` is. */
export function resourcesOf(document: ApiDocument): readonly Resource[] {
  return Object.entries(document.paths).flatMap(([address, { get: list, post: create }]) => {
    const path = address.startsWith(prefix) ? address.slice(prefix.length) : "";
    if (!list || !/^\/[a-z][a-z0-9-]*$/.test(path) || list["x-context"] === "core") return [];
    const answer = resolve(
      document,
      list.responses?.["200"]?.content?.["application/json"]?.schema,
    );
    const items = answer.properties?.items;
    if (!items?.items || !answer.properties?.next_cursor) return [];
    const one = document.paths[`${address}/{id}`] ?? {};
    return [
      {
        name: path.slice(1),
        path,
        list,
        create,
        read: one.get,
        update: one.patch ?? one.put,
        remove: one.delete,
        exports: document.paths[`${address}/export`]?.get !== undefined,
        imports: document.paths[`${address}/import`]?.post !== undefined,
        item: resolve(document, items.items),
      },
    ];
  });
}

export const bodyOf = (document: ApiDocument, operation: Operation | undefined): Schema =>
  resolve(document, operation?.requestBody?.content?.["application/json"]?.schema);
