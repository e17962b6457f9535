import type { FastifyReply, FastifyRequest } from "fastify";
import { bodyTooLarge, lengthRequired } from "../../lib/http-errors.ts";
import { hostSettingsOf } from "../../model/host-settings.ts";
import type { Tenant } from "../../model/tenant.ts";
import { framePolicy } from "./security-headers.ts";

/**
 * What the host says of frames and of the size of requests. Its limit is the limits' matter, and its
 * origins are those of CORS.
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
  // What comes in pieces could be of any size.
  if (encoding !== undefined) throw lengthRequired();
  if (Number(length) > maxRequestBytes) throw bodyTooLarge();
}
