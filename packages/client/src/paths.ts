/** Where the API lives; the client's paths are what follows. */
export const apiPrefix = "/api/v1";
