/** The prefix of the API; the client's paths are relative to it. */
export const apiPrefix = "/api/v1";
