import type { Call, Reply } from "./scenario-calls.ts";

interface Asked {
  readonly call: (route: string, asked?: Call) => Promise<Reply>;
  /** An administrator's token. */
  readonly admin: string;
  readonly email: string;
}

/** What administrators of the platform can do to an account; it is inactive in the end. */
export async function lookAfterAccount({ call, admin, email }: Asked): Promise<void> {
  const { items } = (
    await call("GET /platform/accounts", { token: admin, query: `?q=${encodeURIComponent(email)}` })
  ).body;
  const account = { id: items[0].id };
  await call("DELETE /platform/accounts/:id/sessions", { token: admin, params: account });
  await call("PUT /platform/accounts/:id/platform-admin", { token: admin, params: account });
  await call("DELETE /platform/accounts/:id/platform-admin", { token: admin, params: account });
  await call("PATCH /platform/accounts/:id", {
    token: admin,
    params: account,
    body: { is_active: false },
  });
}
