/** The requests of the public pages: nobody is signed in, so nothing of the client's session is needed. */
import type { Problem } from "@insulae/client";
import { serverUrl } from "../lib/place.ts";

export class Refused extends Error {
  override readonly name = "Refused";
  readonly problem: Problem;
  readonly retryAfterSeconds: number;

  constructor(problem: Problem, retryAfterSeconds: number) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export type Body = Readonly<Record<string, unknown>>;

/**
 * @param path below `/api/v1`
 * @param body it is posted
 * @throws Refused; a TypeError if there is no answer
 */
export async function call<Answer>(path: string, body?: Body): Promise<Answer> {
  const response = await fetch(`${serverUrl}/api/v1${path}`, {
    credentials: "include",
    ...(body && { method: "POST", body: JSON.stringify(body) }),
    headers: body ? { "content-type": "application/json" } : {},
  });
  const text = await response.text();
  const answer = text.startsWith("{") ? JSON.parse(text) : {};
  if (response.ok) return answer;
  throw new Refused(
    {
      title: response.statusText,
      code: `http_${response.status}`,
      status: response.status,
      ...answer,
    },
    Number(response.headers.get("retry-after") ?? 60),
  );
}
