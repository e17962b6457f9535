/** The log, as it is written, over a WebSocket: to the tenant whose lines they are, and to the platform. */
import { pino } from "pino";
import { Type } from "typebox";
import { feature } from "../../kernel/feature/feature.ts";
import { secretText } from "../../kernel/feature/fields.ts";
import { tooManySockets } from "../../kernel/http/sockets/socket-shares.ts";
import { upgradeRequired } from "../../kernel/http/sockets/sockets.ts";
import { isMachine } from "../../kernel/identity/credential.ts";
import { permissionDenied, personalOnly } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import { issueTicket, ticketSeconds } from "../../kernel/identity/tickets.ts";
import { originRefused } from "../../kernel/lib/http-errors.ts";
import type { OutgoingSocket } from "../../kernel/lib/outgoing-socket.ts";

export const logStreamPath = "/api/ws/logs";

const purpose = "log-stream";

const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

const Ticket = Type.Object(
  {
    ticket: secretText("Opens one log stream, once."),
    expires_in: Type.Integer({ description: "Seconds in which it has to be used." }),
  },
  { $id: "LogTicket" },
);

/** `WS_LOGS_ADMIN_USER` leaves some of those who have the permission. */
function refuseUnlisted(listed: readonly string[], { id, email }: Principal): void {
  const own = [id.toLowerCase(), email.toLowerCase()];
  const found = listed.some((entry) => own.includes(entry.toLowerCase()));
  if (listed.length === 0 || found) return;
  throw permissionDenied({
    detail: "Only the users listed in WS_LOGS_ADMIN_USER can watch the log.",
    members: { setting: "WS_LOGS_ADMIN_USER" },
  });
}

export const logs = feature("logs", {
  permissions: {
    "logs:read": { description: "Watch the log of the tenant", role: "admin" },
  },
  routes: (r) => [
    r.absolute.get(
      logStreamPath,
      {
        permission: "logs:read",
        context: "any",
        orPlatform: true,
        socket: { ticketsFor: purpose },
        summary: "Streams the log as it is written, over a WebSocket",
        description:
          "A user gets the lines of their tenant, a platform administrator all. Lines are text messages, one each. Whoever is not let in is answered 403. A page has to be of an allowed origin. `token` is an access token, for clients that can't send a header; addresses end up in the logs of proxies, so a page should rather use its cookie or a `ticket`. The stream ends within seconds when its session, its user's rights or the tenant do.",
        query: Type.Object({
          token: Type.Optional(secretText("An access token.", 7_000)),
          ticket: Type.Optional(secretText("Of `POST /api/v1/logs/tickets`.")),
          format: Type.Optional(
            Type.Union([Type.Literal("text"), Type.Literal("json")], {
              description: "How a line is shown; by default as WS_LOG_FORMAT says.",
            }),
          ),
          level: Type.Optional(Type.Enum(levels, { description: "From this level on." })),
          tenant_id: Type.Optional(
            Type.String({
              format: "uuid",
              description: "Only this tenant's lines. A tenant's user gets no others' anyway.",
            }),
          ),
        }),
        response: { 101: null },
        errors: [originRefused, upgradeRequired, tooManySockets],
      },
      ({ user, query, platform }) => {
        refuseUnlisted(platform.config.wsLogsAdminUsers, user);
        const { format, level, tenant_id } = query;
        const own = user.kind === "tenant" ? user.tenantId : undefined;
        if (own !== undefined && (tenant_id ?? own) !== own) {
          throw permissionDenied({ detail: "A tenant's user can watch only that tenant's lines." });
        }
        return (socket: OutgoingSocket) =>
          platform.logs.watch(socket, {
            tenantId: own ?? tenant_id,
            ...(format && { format }),
            ...(level && { least: pino.levels.values[level] ?? 0 }),
          });
      },
    ),

    r.post(
      "/logs/tickets",
      {
        permission: "logs:read",
        context: "any",
        orPlatform: true,
        personal: true,
        audit: { none: "it opens what its holder may open anyway" },
        summary: "Makes a ticket that opens a log stream once, within half a minute",
        description: "Another one replaces it. The stream is good for as long as the session is.",
        response: { 201: Ticket },
        errors: [personalOnly],
      },
      async ({ user, credential, platform }) => {
        if (isMachine(credential)) throw personalOnly();
        refuseUnlisted(platform.config.wsLogsAdminUsers, user);
        const { oneTimeTokens, tokens } = platform;
        const ttl = tokens.accessTtlSeconds;
        const ticket = await issueTicket(oneTimeTokens, purpose, user, credential, ttl);
        return { ticket, expires_in: ticketSeconds };
      },
    ),
  ],
});
