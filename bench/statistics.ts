/** @param share from 0 to 1; 0.5 is the median. NaN if there are no values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (middle % 1);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
