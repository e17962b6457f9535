import { Type, tenantSettings } from "insulae";

/** What is set for each tenant. */
export const settings = tenantSettings({
  features: Type.Object({ documents: Type.Boolean({ default: true }) }),
  limits: Type.Object({ max_documents: Type.Integer({ minimum: 0, default: 1000 }) }),
  branding: Type.Object({ theme: Type.String({ default: "light" }) }),
});
