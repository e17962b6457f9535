import type { FastifyReply, FastifyRequest } from "fastify";
import { bodyTooLarge, lengthRequired } from "../../lib/http-errors.ts";
import { hostSettingsOf } from "../../model/host-settings.ts";
import type { Tenant } from "../../model/tenant.ts";
import { framePolicy } from "./security-headers.ts";

/**
 * Applies the host's rules about frames and body size. Its rate limit and origins are applied
 * elsewhere.
 *
 * @throws bodyTooLarge, lengthRequired
 */
export function obeyHost(request: FastifyRequest, reply: FastifyReply, tenant: Tenant): void {
  const settings = hostSettingsOf(tenant, request.host);
  if (!settings) return;
  const { frameOptions, maxRequestBytes } = settings;
  if (frameOptions) {
    reply.header("x-frame-options", frameOptions);
    reply.header("content-security-policy", framePolicy(frameOptions));
  }
  if (maxRequestBytes === undefined) return;
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  // A chunked body could have any size.
  if (encoding !== undefined) throw lengthRequired();
  if (Number(length) > maxRequestBytes) throw bodyTooLarge();
}
