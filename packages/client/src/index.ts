/** The client of Insulae's API. */
export type { BearerSource } from "./bearer-session.ts";
export { type Client, type ClientOptions, createClient, type Schemas } from "./client.ts";
export { ApiError, type Problem } from "./errors.ts";
export type { LogLine, LogOptions } from "./log-stream.ts";
export type { Answered } from "./requests.ts";
export type { paths } from "./schema.gen.ts";
export { inMemory, inStorage, type TokenStorage, type Tokens } from "./storage.ts";
