/** The server's description of an error (RFC 9457). Some codes have additional members. */
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
 * A response with an error status. Programs should check `code`.
 *
 * @example
 * if (error instanceof ApiError && error.code === "precondition_failed") …
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  /** The id of the request in the server's log. */
  readonly requestId: string;
  /** The complete error as sent by the server. */
  readonly problem: Problem;
  /** Milliseconds to wait before retrying, if the server sent Retry-After. */
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

/** @param body the response's body: a problem, or the response of a proxy on the way */
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
