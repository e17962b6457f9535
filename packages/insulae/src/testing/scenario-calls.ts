export interface Call {
  readonly token?: string | undefined;
  readonly tenant?: string;
  readonly headers?: Record<string, string>;
  readonly params?: Record<string, string>;
  readonly query?: string;
  readonly body?: unknown;
}

export interface Reply {
  readonly status: number;
  // Callers read what they expect out of it; what is not there is sent as undefined, and refused.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is each route's own
  readonly body: any;
  readonly cookie: string;
}
