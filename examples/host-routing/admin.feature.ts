import { AppError, feature, Type } from "insulae";
import { errorShape, hostNotRegistered, tenantNotRegistered } from "./errors.ts";

const Key = Type.String({ minLength: 1, maxLength: 63, examples: ["tenant-1"] });
const Hostname = Type.String({ minLength: 1, maxLength: 253, examples: ["tenant1.example.com"] });
const RateLimit = Type.Object({ requestsPerSecond: Type.Number(), burst: Type.Integer() });

/** Runs it, and says of what it refuses no more than the error does. */
async function orElse<T>(work: Promise<T>, error: () => AppError): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw cause instanceof AppError && cause.status < 500 ? error() : cause;
  }
}

/** Hosts and tenants, while the server runs: for administrators of the platform. */
export const admin = feature("admin", {
  routes: ({ absolute: r }) => [
    r.post(
      "/admin/tenants",
      {
        permission: "platform",
        context: "core",
        audit: "tenant.created",
        summary: "Registers hosts, and a tenant of them",
        body: Type.Object({
          tenant_id: Key,
          hosts: Type.Array(Hostname, { minItems: 1, maxItems: 20 }),
          rate_limit: Type.Optional(RateLimit),
          settings: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
        }),
        response: { 201: Type.Object({ message: Type.String(), tenant_id: Type.String() }) },
        errors: [hostNotRegistered, tenantNotRegistered],
        errorShape,
      },
      async ({ platform: { hosts, tenants }, body }) => {
        const { tenant_id: key, rate_limit: rateLimit, settings } = body;
        // It would be given the hosts before it is refused.
        if (await tenants.find(key)) throw tenantNotRegistered();
        for (const host of body.hosts) {
          const kept = await hosts.find(host);
          if (kept && kept.tenantId === undefined) continue; // of an earlier attempt, or tenant
          const registration = { tenant: key, ...(rateLimit && { settings: { rateLimit } }) };
          await orElse(hosts.register(host, registration), hostNotRegistered);
        }
        const made = tenants.register(key, { hosts: body.hosts, settings });
        const tenant = await orElse(made, tenantNotRegistered);
        return { message: "Tenant registered successfully", tenant_id: tenant.key };
      },
    ),

    r.delete(
      "/admin/tenants/:key",
      {
        permission: "platform",
        context: "core",
        audit: "tenant.deleted",
        summary: "Unregisters a tenant; its hosts stay registered",
        params: Type.Object({ key: Key }),
        response: { 204: null },
        errorShape,
      },
      ({ platform, params }) => platform.tenants.unregister(params.key),
    ),

    r.get(
      "/admin/hosts/:hostname",
      {
        permission: "platform",
        context: "core",
        summary: "Whether a host is registered, and whose it is",
        params: Type.Object({ hostname: Hostname }),
        response: Type.Object({
          registered: Type.Boolean(),
          tenant_id: Type.Optional(Type.String()),
        }),
        errorShape,
      },
      async ({ platform: { hosts, tenants }, params }) => {
        const host = await hosts.find(params.hostname);
        const tenant = host?.tenantId && (await tenants.find(host.tenantId));
        return { registered: host !== undefined, ...(tenant && { tenant_id: tenant.key }) };
      },
    ),

    r.delete(
      "/admin/hosts/:hostname",
      {
        permission: "platform",
        context: "core",
        audit: "host.unregistered",
        summary: "Unregisters a host; its tenant stays",
        params: Type.Object({ hostname: Hostname }),
        response: { 204: null },
        errorShape,
      },
      ({ platform, params }) => platform.hosts.unregister(params.hostname),
    ),
  ],
});
