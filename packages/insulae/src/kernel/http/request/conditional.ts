/**
 * `If-Match` on changes. The GET by id that declares `etag` defines the current version; PUT, PATCH
 * and DELETE of the same path run only if the client has seen it:
 *
 *     begin · lock the row · render the GET · tag differs from the client's: 412
 *                                           · tag matches: the handler's write · commit
 *
 * All of this runs in the transaction of the handler's first write (data/write-guard.ts), so
 * nothing can come in between, and of several clients that saw the same version one wins. An
 * unconditional request takes none of these steps.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { sql } from "kysely";
import { guardWrites, type TenantDatabase } from "../../data/tenant-database.ts";
import type { Route } from "../../feature/feature.ts";
import { responsesOf, routePath } from "../api/declarations.ts";
import { createAnswer, settle } from "../reply/answer.ts";
import {
  type Condition,
  conditionOf,
  entityTagOf,
  requireCondition,
} from "../reply/preconditions.ts";
import type { Caller } from "../state/request-state.ts";
import { RequestContext, type RouteDeps } from "./request-context.ts";

export interface ConditionalCall {
  readonly deps: RouteDeps;
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

type Handle = (context: RequestContext) => unknown;

/** Runs a change under the condition of its request. */
export interface Conditional {
  /** Undefined: the request is unconditional. @throws invalidEntityTag */
  readonly conditionOf: (request: FastifyRequest) => Condition | undefined;
  /** Calls the handler with a context whose writes wait for the check. */
  readonly run: (
    call: ConditionalCall,
    condition: Condition,
    handle: Handle,
  ) => { readonly context: RequestContext; readonly value: Promise<unknown> };
}

/** @param get the GET of the resource that is changed */
export function createConditional(get: Route): Conditional {
  const answer = createAnswer(responsesOf(get.options.response), `GET ${routePath(get)}`);
  // the declaration was checked against this context
  const show = get.handler as Handle;

  return {
    conditionOf: ({ headers }) => conditionOf(headers),
    run(call, condition, handle) {
      const { deps, request, reply, caller } = call;
      const { etag } = get.options;
      let checked = false;
      const check = (value: unknown): void => {
        requireCondition(condition, entityTagOf(answer.text(reply, value)));
        checked = true;
      };
      const guarded =
        caller.db && etag !== undefined && etag !== true
          ? guardWrites(caller.db, async (tx) => {
              await lock(etag, tx, idOf(request));
              const inside = { ...call, caller: new OnDatabase(caller, tx) };
              check(await settle(show(contextOf(inside))));
            })
          : undefined;
      const context = new RequestContext(
        deps,
        guarded ? new OnDatabase(caller, guarded.db) : caller,
        request,
        reply,
        check,
      );
      const done = async () => {
        const value = await settle(handle(context));
        // A bug in the route: its write was not compared with anything.
        if (!checked) throw new Error(`${deps.list} has not looked at the request's If-Match`);
        return value;
      };
      return { context, value: done() };
    },
  };
}

const contextOf = ({ deps, caller, request, reply }: ConditionalCall) =>
  new RequestContext(deps, caller, request, reply);

/** the path has an id, whose schema was checked */
const idOf = ({ params }: FastifyRequest): string => (params as { id: string }).id;

type Db = TenantDatabase<Record<never, never>>;

async function lock(
  etag: Exclude<Route["options"]["etag"], true | undefined>,
  tx: Db,
  id: string,
): Promise<void> {
  // the function was declared with these tables
  if (typeof etag === "function") await etag(tx as never, id);
  else await sql`select from ${sql.table(etag)} where id = ${id} for update`.execute(tx);
}

/** The same caller, on another database. Getters stay lazy. */
class OnDatabase implements Caller {
  readonly tenant: Caller["tenant"];
  readonly user: Caller["user"];
  readonly credential: Caller["credential"];
  readonly db: Db;
  readonly #caller: Caller;

  constructor(caller: Caller, db: Db) {
    this.tenant = caller.tenant;
    this.user = caller.user;
    this.credential = caller.credential;
    this.db = db;
    this.#caller = caller;
  }

  get platform() {
    return this.#caller.platform;
  }
}
