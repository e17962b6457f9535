/** The allowed transitions of an order's status. It starts as a draft. */
export const transitions = {
  draft: ["placed", "cancelled"],
  placed: ["paid", "cancelled"],
  paid: ["shipped", "cancelled"],
  shipped: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;

export type OrderStatus = keyof typeof transitions;

// Safe: the literal's type lists exactly its keys.
export const orderStatuses = Object.keys(transitions) as readonly OrderStatus[];

/** The statuses in which an order may be deleted, because it binds nobody. */
export const deletable: readonly OrderStatus[] = ["draft", "cancelled"];

/** The statuses from which an order may change to `status`. */
export const statusesBefore = (status: OrderStatus): readonly OrderStatus[] =>
  orderStatuses.filter((from) => transitions[from].some((to) => to === status));
