/** The queue of the platform's own jobs. A tenant's queue is named by the tenant's id. */
export const platformQueue = "platform";
