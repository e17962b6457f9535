import { defineError } from "../lib/errors.ts";

export const tenantNotFound = defineError("tenant_not_found", 404, "This tenant does not exist");
export const tenantInactive = defineError(
  "tenant_inactive",
  403,
  "The tenant is suspended. Ask a platform administrator.",
);
export const tenantExists = defineError(
  "tenant_exists",
  409,
  "Another tenant has this key. Choose another.",
);
export const tenantRequired = defineError(
  "tenant_required",
  400,
  "The request names no tenant. Name one by host, by the header X-Tenant, or with a tenant's token.",
);
export const tenantAccessDenied = defineError("tenant_access_denied", 403, "Tenant access denied");
export const hostTaken = defineError(
  "host_taken",
  409,
  "The host is already registered. Choose another.",
);
export const hostsRequired = defineError(
  "hosts_required",
  400,
  "The tenant needs at least one host. Name a registered one.",
);
export const hostNotFound = defineError("host_not_found", 404, "This host does not exist");
export const reservedHost = defineError(
  "reserved_host",
  400,
  "This host cannot be registered. Hosts under BASE_DOMAIN are derived from tenants' keys, and localhost and IP addresses are the server's own. Use a domain of your own.",
);
export const settingsTooLarge = defineError(
  "tenant_settings_too_large",
  413,
  "The tenant's settings are too large. Remove or shorten some.",
);
export const moveUnderWay = defineError(
  "move_under_way",
  409,
  "The tenant is being moved, or the place that it was moved from is still kept. Wait, abort the move, revert it, or release the old place.",
);
