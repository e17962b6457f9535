/**
 * Works on each item, so many at a time, in their order. The first error is thrown once what is under way has ended;
 * then, and once `signal` aborts, nothing further begins.
 *
 * @example await eachOf(tenants, 4, (tenant) => erase(tenant), signal);
 */
export async function eachOf<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const rest = [...items].values();
  const failures: unknown[] = [];
  const worker = async () => {
    for (const item of rest) {
      if (signal?.aborted || failures.length > 0) return;
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failures.length > 0) throw failures[0];
}
