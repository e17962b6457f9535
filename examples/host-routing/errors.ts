import { type AppError, defineError, Type, tenantNotFound } from "insulae";

export const hostNotRegistered = defineError("host_not_registered", 409, "Failed to register host");
export const tenantNotRegistered = defineError(
  "tenant_not_registered",
  409,
  "Failed to register tenant",
);
export const featureNotAvailable = defineError(
  "feature_not_available",
  403,
  "Feature not available for your plan",
);
export const tooManyDocuments = defineError(
  "tenant_limit_exceeded",
  429,
  "Document limit exceeded",
);

/** What is said instead of Insulae's own titles. */
const messages: Readonly<Record<string, string>> = {
  tenant_not_found: "Tenant not found",
  tenant_inactive: "Tenant is inactive",
  tenant_access_denied: "Access denied",
  permission_denied: "Access denied",
  validation_failed: "Invalid request",
};

/** How errors look in this API: `{ error, code }`, and what limits add. */
export const errorShape = {
  schema: Type.Object(
    {
      error: Type.String(),
      code: Type.String({ examples: ["TENANT_NOT_FOUND"] }),
      limit: Type.Optional(Type.Integer()),
      window: Type.Optional(Type.Integer({ description: "Seconds." })),
    },
    { $id: "HostRoutingAppError" },
  ),
  statusOf: (error: AppError) => meaningOf(error).status,
  bodyOf(error: AppError) {
    const { code, title } = meaningOf(error);
    const { limit, window } = error.members;
    return {
      error: messages[code] ?? title,
      code: code.toUpperCase(),
      ...(limit !== undefined && { limit }),
      ...(window !== undefined && { window }),
    };
  },
};

/** In development a host that nobody has registered is refused; to this API it is no tenant's. */
const meaningOf = (error: AppError): Pick<AppError, "code" | "status" | "title"> =>
  error.code === "host_not_allowed" ? tenantNotFound() : error;
