/** `count("tenant", 2)` is `2 tenants`. */
export const count = (what: string, number: number): string =>
  `${number} ${what}${number === 1 ? "" : "s"}`;
