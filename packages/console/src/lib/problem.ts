import { ApiError } from "@insulae/client";

/** A refusal as people read it. */
export interface Refusal {
  readonly title: string;
  readonly detail: string | undefined;
  readonly code: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  /** By the name of the field in the request's body, such as `address/city`. */
  readonly fields: Readonly<Record<string, string>>;
  readonly retryAfterSeconds: number | undefined;
}

export function refusalOf(error: unknown): Refusal {
  if (error instanceof ApiError) {
    const { problem } = error;
    const fields = Object.fromEntries(
      (problem.errors ?? []).map(({ pointer, message }) => [
        pointer.replace(/^\/(body|query|params)\//, ""),
        message,
      ]),
    );
    return {
      title: problem.title,
      detail: problem.detail,
      code: problem.code,
      status: error.status,
      requestId: problem.request_id,
      fields,
      retryAfterSeconds:
        error.retryAfter === undefined ? undefined : Math.ceil(error.retryAfter / 1_000),
    };
  }
  return {
    title: error instanceof Error ? error.message : String(error),
    detail: undefined,
    code: error instanceof TypeError ? "network" : "unexpected",
    status: undefined,
    requestId: undefined,
    fields: {},
    retryAfterSeconds: undefined,
  };
}
