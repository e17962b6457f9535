/** What the server says of an error (RFC 9457). Some codes have members of their own beside these. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly code: string;
  readonly request_id: string;
  readonly errors?: readonly { readonly pointer: string; readonly message: string }[];
  readonly [member: string]: unknown;
}

/**
 * An answer that is no success. A program looks at `code`.
 *
 * @example
 * if (error instanceof ApiError && error.code === "precondition_failed") …
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  /** Names the request in the server's log. */
  readonly requestId: string;
  /** All that the server says of it. */
  readonly problem: Problem;
  /** In how many milliseconds to ask again, where the server says so. */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
    this.status = problem.status;
    this.code = problem.code;
    this.requestId = problem.request_id;
    this.retryAfter = retryAfter;
  }
}

/** @param body of the answer: a problem, or what somebody on the way (a proxy) said instead */
export function apiError(response: Response, body: unknown): ApiError {
  const { status, statusText, headers } = response;
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  const problem =
    typeof body === "object" && body !== null && "code" in body
      ? (body as Problem) // the only objects with a `code` that the API answers errors with
      : {
          type: "about:blank",
          title: statusText || `HTTP ${status}`,
          status,
          code: `http_${status}`,
          request_id: headers.get("x-request-id") ?? "",
        };
  return new ApiError(problem, Number.isNaN(seconds) ? undefined : seconds * 1000);
}
