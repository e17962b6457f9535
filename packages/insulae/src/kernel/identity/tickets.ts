/**
 * Tickets for opening WebSockets, because browsers can't send headers with the handshake. A ticket
 * stands for the session that requested it. It works once, for one purpose, within half a minute,
 * on any node, so it is worthless in a proxy's log.
 */
import type { AccountId } from "../lib/ids.ts";
import type { Amr } from "../model/authentication-methods.ts";
import type { SessionCredential } from "./credential.ts";
import type { OneTimeTokens } from "./one-time-tokens.ts";
import type { Principal } from "./principal.ts";
import type { Claims } from "./tokens.ts";

export const ticketSeconds = 30;

/** @param ttlSeconds how long the resulting authorisation lasts, at most as long as the session */
export function issueTicket(
  tokens: OneTimeTokens,
  purpose: string,
  user: Principal,
  credential: SessionCredential,
  ttlSeconds: number,
): Promise<string> {
  const { sessionId, issuedAt, expiresAt, impersonator } = credential;
  const tenantToken = credential.kind === "token" ? credential.tenantToken : undefined;
  const last = Math.min(expiresAt, Math.floor(Date.now() / 1000) + ttlSeconds);
  return tokens.issue({
    purpose,
    subject:
      user.kind === "tenant"
        ? { tenantId: user.tenantId, id: user.id }
        : { tenantId: null, id: user.id },
    ttlSeconds: ticketSeconds,
    several: true,
    detail: {
      session: sessionId,
      epoch: user.epoch,
      issued_at: String(issuedAt),
      expires_at: String(last),
      ...(impersonator && { impersonator }),
      ...(tenantToken && { tenant_token: tenantToken.amr.join(" ") }),
    },
  });
}

/** Uses a ticket up. @returns its claims; undefined if it is invalid */
export async function redeemTicket(
  tokens: OneTimeTokens,
  purpose: string,
  ticket: string,
): Promise<Claims | undefined> {
  const found = await tokens.redeem(purpose, ticket);
  if (!found) return undefined;
  const { session = "", epoch = "", issued_at, expires_at } = found.detail;
  const { impersonator, tenant_token: amr } = found.detail;
  return {
    kind: "token",
    subject: found.subject.id,
    tenantId: found.subject.tenantId ?? undefined,
    sessionId: session,
    tokenId: session,
    epoch,
    issuedAt: Number(issued_at),
    expiresAt: Number(expires_at),
    // written by `issueTicket`
    impersonator: impersonator as AccountId | undefined,
    tenantToken: amr === undefined ? undefined : { amr: amr.split(" ") as unknown as Amr },
  };
}
