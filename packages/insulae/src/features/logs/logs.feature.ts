/** Streams the log over a WebSocket: to each tenant its own lines, to the platform all. */
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
    ticket: secretText("Opens one log stream; single use."),
    expires_in: Type.Integer({ description: "Seconds until the ticket expires." }),
  },
  { $id: "LogTicket" },
);

/** `WS_LOGS_ADMIN_USER` restricts access to some of those who hold the permission. */
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
        summary: "Streams the log over a WebSocket",
        description:
          "A user gets the lines of their tenant, a platform administrator all lines; each line is one text message. A refused handshake gets 403. A page must have an allowed origin. `token` is an access token, for clients that can't send a header. URLs end up in proxy logs, so pages should use their cookie or a `ticket` instead. The stream closes within seconds after the session ends, the permission is withdrawn or the tenant is suspended.",
        query: Type.Object({
          token: Type.Optional(secretText("An access token.", 7_000)),
          ticket: Type.Optional(secretText("Of `POST /api/v1/logs/tickets`.")),
          format: Type.Optional(
            Type.Union([Type.Literal("text"), Type.Literal("json")], {
              description: "The format of a line; default: WS_LOG_FORMAT.",
            }),
          ),
          level: Type.Optional(Type.Enum(levels, { description: "The minimum level." })),
          tenant_id: Type.Optional(
            Type.String({
              format: "uuid",
              description:
                "Only this tenant's lines, for platform administrators. Users get only their own tenant's lines anyway.",
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
        audit: { none: "the ticket grants nothing that its holder could not open already" },
        summary: "Creates a ticket that opens one log stream within half a minute",
        description:
          "A new ticket replaces the previous one. The stream lasts at most as long as the session.",
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
