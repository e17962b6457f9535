/**
 * The boot check: the server refuses to start on a database where one tenant could see another.
 * "Isolated" is defined once, in SQL: `app.isolation_problems` (in the latest migration of
 * `migrations/app/` that defines it).
 */
import type pg from "pg";
import { dataSchema } from "../engine/scope.ts";

export interface IsolationProblem {
  readonly object: string;
  readonly problem: string;
}

/** Thrown by `bootCheck`; lists all problems at once. */
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
 * All problems of the roles, and of the tables in the given schemas of the client's database.
 *
 * @param client any role that may execute functions in `app`, such as the owner
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
 * The same by schema, for many schemas. Problems of roles are in each list.
 *
 * @param client as for `findIsolationProblems`
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
 * Excess privileges of the logins of tenants' databases. They endanger no other tenant, so they
 * don't prevent a start.
 *
 * @param client as for `findIsolationProblems`
 */
export async function findLoginProblems(client: pg.ClientBase): Promise<readonly LoginProblem[]> {
  const { rows } = await client.query<LoginProblem>(
    "select login, problem from app.tenant_login_problems() order by 1, 2",
  );
  return rows;
}

/** One query; about 10 ms. @throws IsolationError if there is any problem */
export async function bootCheck(client: pg.ClientBase, schemas?: readonly string[]): Promise<void> {
  const problems = await findIsolationProblems(client, schemas);
  if (problems.length > 0) throw new IsolationError(problems);
}
