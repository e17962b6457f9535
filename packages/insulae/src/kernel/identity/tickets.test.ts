import { describe, expect, it } from "vitest";
import type { TenantId, UserId } from "../lib/ids.ts";
import type { SessionCredential } from "./credential.ts";
import type { NewOneTimeToken, OneTimeTokens } from "./one-time-tokens.ts";
import type { Principal } from "./principal.ts";
import { issueTicket, redeemTicket } from "./tickets.ts";

const user: Principal = {
  kind: "tenant",
  id: "ada" as UserId,
  tenantId: "acme" as TenantId,
  email: "ada@example.org",
  role: "user",
  permissions: new Set(),
  epoch: "now",
};
const credential: SessionCredential = {
  kind: "token",
  sessionId: "s",
  issuedAt: 1,
  expiresAt: 2,
  impersonator: undefined,
};

/** What a ticket of this credential stands for. */
async function redeemed(given: SessionCredential) {
  const issued: NewOneTimeToken[] = [];
  const tokens = {
    issue: async (token: NewOneTimeToken) => `${issued.push(token)}`,
    redeem: async () => issued[0] && { subject: issued[0].subject, detail: issued[0].detail ?? {} },
  } as unknown as OneTimeTokens; // the others are not called
  return redeemTicket(tokens, "logs", await issueTicket(tokens, "logs", user, given, 60));
}

describe("a ticket", () => {
  it("stands for a tenant token as a tenant token, with what its session had proved", async () => {
    const tenantToken = { amr: ["pwd", "mfa"] } as const;
    expect(await redeemed({ ...credential, tenantToken })).toMatchObject({ tenantToken });
    expect(await redeemed(credential)).toMatchObject({ tenantToken: undefined });
  });
});
