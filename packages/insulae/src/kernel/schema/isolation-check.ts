/**
 * The boot check: the server doesn't start on a database that could let one tenant see another. What
 * "isolated" means is defined once, in SQL: `app.isolation_problems` (the last of
 * `migrations/app/` that has it).
 */
import type pg from "pg";
import { dataSchema } from "../engine/scope.ts";

export interface IsolationProblem {
  readonly object: string;
  readonly problem: string;
}

/** Thrown by `bootCheck`; it lists all problems at once. */
export class IsolationError extends Error {
  override readonly name = "IsolationError";
  readonly problems: readonly IsolationProblem[];

  constructor(problems: readonly IsolationProblem[]) {
    const lines = problems.map(({ object, problem }) => `\n  ${object} ${problem}`);
    super(`tenants would not be isolated:${lines.join("")}`);
    this.problems = problems;
  }
}

/**
 * Everything that is wrong with the roles, and with the tables of the given schemas of the database
 * that the client is in.
 *
 * @param client any role that may execute functions in `app`, such as the administrator's owner.
 */
export async function findIsolationProblems(
  client: pg.ClientBase,
  schemas: readonly string[] = [dataSchema],
): Promise<readonly IsolationProblem[]> {
  const { rows } = await client.query<IsolationProblem>(
    `select object, problem from app.role_problems()
     union all
     select p.object, p.problem
     from unnest($1::text[]) as s (name)
     cross join app.isolation_problems(s.name) p
     order by 1, 2`,
    [schemas],
  );
  return rows;
}

/**
 * The same by schema, for many of them. What is wrong with the roles is in each one's list.
 *
 * @param client as for `findIsolationProblems`.
 */
export async function findProblemsOf(
  client: pg.ClientBase,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, readonly IsolationProblem[]>> {
  const ofRoles = await findIsolationProblems(client, []);
  const { rows } = await client.query<IsolationProblem & { schema: string }>(
    `select s.name as schema, p.object, p.problem
     from unnest($1::text[]) as s (name)
     cross join app.isolation_problems(s.name) p
     order by 2, 3`,
    [schemas],
  );
  const bySchema = Map.groupBy(rows, ({ schema }) => schema);
  return new Map(schemas.map((name) => [name, [...ofRoles, ...(bySchema.get(name) ?? [])]]));
}

export interface LoginProblem {
  /** Also the name of the tenant's database. */
  readonly login: string;
  readonly problem: string;
}

/**
 * What logins of tenants' databases have that they should not. It endangers no other tenant, so it
 * keeps nobody from starting.
 *
 * @param client as for `findIsolationProblems`.
 */
export async function findLoginProblems(client: pg.ClientBase): Promise<readonly LoginProblem[]> {
  const { rows } = await client.query<LoginProblem>(
    "select login, problem from app.tenant_login_problems() order by 1, 2",
  );
  return rows;
}

/** @throws IsolationError if there is any problem. One query; about 10 ms. */
export async function bootCheck(client: pg.ClientBase, schemas?: readonly string[]): Promise<void> {
  const problems = await findIsolationProblems(client, schemas);
  if (problems.length > 0) throw new IsolationError(problems);
}
