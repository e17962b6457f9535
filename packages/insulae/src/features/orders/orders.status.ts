/** What an order may become, by what it is. It starts as a draft. */
export const transitions = {
  draft: ["placed", "cancelled"],
  placed: ["paid", "cancelled"],
  paid: ["shipped", "cancelled"],
  shipped: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;

export type OrderStatus = keyof typeof transitions;

// The keys of a literal are what its type says.
export const orderStatuses = Object.keys(transitions) as readonly OrderStatus[];

/** The orders that may be deleted: those that bind nobody. */
export const deletable: readonly OrderStatus[] = ["draft", "cancelled"];

/** The statuses from which an order may become `status`. */
export const statusesBefore = (status: OrderStatus): readonly OrderStatus[] =>
  orderStatuses.filter((from) => transitions[from].some((to) => to === status));
