import { defineError } from "../errors.ts";

export const tenantNotFound = defineError("tenant_not_found", 404, "There is no such tenant");
export const tenantInactive = defineError("tenant_inactive", 403, "The tenant is suspended");
export const tenantExists = defineError("tenant_exists", 409, "A tenant with this key exists");
export const tenantRequired = defineError(
  "tenant_required",
  400,
  "Say which tenant: by host, by the header X-Tenant, or by a tenant's token",
);
export const tenantAccessDenied = defineError("tenant_access_denied", 403, "Tenant access denied");
export const hostTaken = defineError("host_taken", 409, "The host is registered");
export const hostsRequired = defineError(
  "hosts_required",
  400,
  "tenant must have at least one host",
);
export const hostNotFound = defineError("host_not_found", 404, "There is no such host");
export const reservedHost = defineError(
  "reserved_host",
  400,
  "This host can't be registered: hosts below the platform's own domain come from the tenants' keys, and localhost and IP addresses are the server's own",
);
export const settingsTooLarge = defineError(
  "tenant_settings_too_large",
  413,
  "The tenant's settings are too large",
);
