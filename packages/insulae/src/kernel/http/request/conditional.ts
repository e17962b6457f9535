/**
 * `If-Match` on what people edit. The GET by id that declares `etag` says what there is; the PUT,
 * PATCH and DELETE of the same path are done only if that is what the client has seen:
 *
 *     begin · lock the row · what would the GET answer now? · its tag is not the client's: 412
 *                                                            · it is: the handler's write · commit
 *
 * All of it is in the transaction of the handler's first write (data/write-guard.ts), so nobody
 * can come in between, and of many who have seen the same, one wins. A request without a condition
 * takes none of this.
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
import { RequestContext, type RouteSetting } from "./request-context.ts";

export interface ConditionalCall {
  readonly setting: RouteSetting;
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

type Handle = (context: RequestContext) => unknown;

/** Runs the handler of a change on the condition that the request has. */
export interface Conditional {
  /** Undefined: the request has none. @throws invalidEntityTag */
  readonly conditionOf: (request: FastifyRequest) => Condition | undefined;
  /** The context, whose writes wait for the check, and the handler's value. */
  readonly run: (
    call: ConditionalCall,
    condition: Condition,
    handle: Handle,
  ) => { readonly context: RequestContext; readonly value: Promise<unknown> };
}

/** @param get the GET that shows what is changed. */
export function createConditional(get: Route): Conditional {
  const answer = createAnswer(responsesOf(get.options.response), `GET ${routePath(get)}`);
  // Its context is the one that the declaration was checked against.
  const show = get.handler as Handle;

  return {
    conditionOf: ({ headers }) => conditionOf(headers),
    run(call, condition, handle) {
      const { setting, request, reply, caller } = call;
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
        setting,
        guarded ? new OnDatabase(caller, guarded.db) : caller,
        request,
        reply,
        check,
      );
      const done = async () => {
        const value = await settle(handle(context));
        // Whoever writes this route has to know: what they wrote was not compared with anything.
        if (!checked) throw new Error(`${setting.list} has not looked at the request's If-Match`);
        return value;
      };
      return { context, value: done() };
    },
  };
}

const contextOf = ({ setting, caller, request, reply }: ConditionalCall) =>
  new RequestContext(setting, caller, request, reply);

/** The path has an id, which its schema was checked for. */
const idOf = ({ params }: FastifyRequest): string => (params as { id: string }).id;

type Db = TenantDatabase<Record<never, never>>;

async function lock(
  etag: Exclude<Route["options"]["etag"], true | undefined>,
  tx: Db,
  id: string,
): Promise<void> {
  // The tables are those that the function was declared with.
  if (typeof etag === "function") await etag(tx as never, id);
  else await sql`select from ${sql.table(etag)} where id = ${id} for update`.execute(tx);
}

/** For the same request, on another database; what is a getter stays one. */
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
