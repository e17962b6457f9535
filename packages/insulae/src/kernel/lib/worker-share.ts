/** A worker's share of what a process may have; at least one. */
export const shareOf = (amount: number, workers: number): number =>
  Math.max(1, Math.floor(amount / workers));

/** The same for worker 1, 2, …: together they have all of it, and some perhaps none. */
export const exactShareOf = (amount: number, worker: number, workers: number): number =>
  Math.floor(amount / workers) + (worker <= amount % workers ? 1 : 0);
