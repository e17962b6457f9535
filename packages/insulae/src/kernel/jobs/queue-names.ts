/** The name of the queue of the platform's own jobs; a tenant's has the tenant's id. */
export const platformQueue = "platform";
