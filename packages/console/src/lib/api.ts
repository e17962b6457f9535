/**
 * Requests as hooks. A key says what is read; it is cached for the context that the screen is in.
 *
 *     const user = useGet(["/users", id], (api) => api.get("/users/{id}", { params: { path: { id } } }));
 *     const rename = useAct((api, name: string) => api.patch(…), { changes: ["/users"] });
 */
import { ApiError, type Client } from "@insulae/client";
import {
  type QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { type Context, useApiContext } from "./context.tsx";
import { needsProof, untilProved } from "./proof.ts";
import { untilSignedIn } from "./session.ts";

type Key = readonly (string | number | boolean | object | undefined)[];

interface GetOptions<Data> {
  /** False: don't ask (yet). */
  readonly when?: boolean;
  /** Ask again after so long, or as what was answered says. */
  readonly everyMs?: number | false | ((found: Data | undefined) => number | false);
}

interface ListOptions {
  readonly when?: boolean;
  readonly everyMs?: number | false;
}

const refreshedAfterMs = 15_000;

export function useGet<Data>(
  key: Key,
  read: (api: Client, signal: AbortSignal) => Promise<Data>,
  { when = true, everyMs = false }: GetOptions<Data> = {},
) {
  const context = useApiContext();
  return useQuery({
    queryKey: [...context.key, ...key],
    queryFn: ({ signal }) => read(context.client, signal),
    enabled: when,
    refetchInterval: typeof everyMs === "function" ? (query) => everyMs(query.state.data) : everyMs,
    staleTime: refreshedAfterMs,
    // The client knows the version of the very object that it has read (`ifMatch`).
    structuralSharing: false,
  });
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

/** A list, page by page: `fetchNextPage()` gets the next one. */
export function useList<Item>(
  key: Key,
  read: (api: Client, cursor: string | undefined, signal: AbortSignal) => Promise<Page<Item>>,
  { when = true, everyMs = false }: ListOptions = {},
) {
  const context = useApiContext();
  const query = useInfiniteQuery({
    queryKey: [...context.key, ...key, "pages"],
    queryFn: ({ signal, pageParam }) => read(context.client, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    enabled: when,
    refetchInterval: everyMs,
    staleTime: refreshedAfterMs,
  });
  return { ...query, items: query.data?.pages.flatMap((page) => page.items) ?? [] };
}

interface ActOptions {
  /** What is read anew then, by the first part of its key. */
  readonly changes?: readonly string[];
  /** The key of what is not there any more then, so that it isn't asked for. */
  readonly removes?: readonly string[];
}

/** What changes something. */
export function useAct<Given, Data>(
  act: (api: Client, given: Given) => Promise<Data>,
  options: ActOptions = {},
) {
  const context = useApiContext();
  const cache = useQueryClient();
  return useMutation({
    mutationFn: async (given: Given) => {
      const { client } = context;
      try {
        return await act(client, given);
      } catch (error) {
        // What was typed stays meanwhile, and is then sent again.
        if (isSessionOver(error)) await untilSignedIn();
        else if (needsProof(error)) await untilProved(client, error);
        else throw error;
        return act(client, given);
      }
    },
    onSuccess: () => refresh(cache, context, options),
  });
}

/** A wrong code or password is 401 as well. */
const isSessionOver = (error: unknown): boolean =>
  error instanceof ApiError && /^(authentication_required|invalid_token)$/.test(error.code);

const refresh = (
  cache: QueryClient,
  context: Context,
  { changes = [], removes }: ActOptions,
): Promise<unknown> => {
  const isOf = (key: Key, part: readonly unknown[]) =>
    [...context.key, ...part].every((each, at) => key[at] === each);
  return Promise.all(
    changes.map((first) =>
      cache.invalidateQueries({
        queryKey: [...context.key, first],
        predicate: ({ queryKey }) => !removes || !isOf(queryKey as Key, removes),
      }),
    ),
  );
};
