/** The types of calls, derived from those that openapi-typescript generates. */
import type { FetchOptions, ParseAs, ParseAsResponse } from "openapi-fetch";
import type {
  FilterKeys,
  HttpMethod,
  MediaType,
  PathsWithMethod,
  RequiredKeysOf,
  ResponseObjectMap,
  SuccessResponse,
} from "openapi-typescript-helpers";
import type { apiPrefix } from "./paths.ts";

/** The paths below `/api/v1`, without that prefix. */
export type Below<Paths> = {
  [Path in keyof Paths as Path extends `${typeof apiPrefix}${infer Rest}`
    ? Rest
    : never]: Paths[Path];
};

type Options<Item, Method extends HttpMethod, As extends ParseAs> = Omit<
  FetchOptions<FilterKeys<Item, Method>>,
  "baseUrl" | "fetch" | "middleware" | "headers" | "parseAs"
> & {
  readonly headers?: Readonly<Record<string, string>>;
  /** How to read the response: `json` unless it is `text`, `blob`, `arrayBuffer` or `stream`. */
  readonly parseAs?: As;
  /**
   * An object read before: if it has changed since, the request fails (412 `precondition_failed`).
   */
  readonly ifMatch?: object;
};

/** Optional if nothing is required. */
type Given<Options> = RequiredKeysOf<Options> extends never ? [options?: Options] : [Options];

/** `undefined` if the response has no body. */
type Body<Type> = [Type] extends [never] ? undefined : Type;

type Answer<Operation, As extends ParseAs> =
  Operation extends Record<string | number, unknown>
    ? ParseAsResponse<
        Body<SuccessResponse<ResponseObjectMap<Operation>, MediaType>>,
        { parseAs: As }
      >
    : never;

export type Call<Paths extends object, Method extends HttpMethod> = <
  Path extends PathsWithMethod<Paths, Method>,
  As extends ParseAs = "json",
>(
  path: Path,
  ...given: Given<Options<Paths[Path], Method, As>>
) => Promise<Answer<FilterKeys<Paths[Path], Method>, As>>;

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

/** The paths whose `GET` returns pages. */
type ListPaths<Paths extends object> = {
  [Path in PathsWithMethod<Paths, "get">]: Answer<
    FilterKeys<Paths[Path], "get">,
    "json"
  > extends Page<unknown>
    ? Path
    : never;
}[PathsWithMethod<Paths, "get">];

export type Each<Paths extends object> = <Path extends ListPaths<Paths>>(
  path: Path,
  ...given: Given<Options<Paths[Path], "get", "json">>
) => AsyncGenerator<
  Answer<FilterKeys<Paths[Path], "get">, "json"> extends Page<infer Item> ? Item : never
>;
