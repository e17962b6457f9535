import { feature } from "../../kernel/feature/feature.ts";
import { ownFactorRoutes } from "./own-factors.routes.ts";
import { passkeyLogInRoutes } from "./passkey-log-in.routes.ts";
import { resetRoutes } from "./reset.routes.ts";
import { secondStepRoutes } from "./second-step.routes.ts";

export { reauthenticationRequired, requireFreshProof } from "./own-factors.ts";
export { accountNotFound } from "./reset.routes.ts";

/** Second factors (TOTP, passkeys, recovery codes), and log-in with a passkey alone. */
export const factors = feature("factors", {
  dependsOn: ["users"],
  routes: (r) => [
    ...secondStepRoutes(r),
    ...passkeyLogInRoutes(r),
    ...ownFactorRoutes(r),
    ...resetRoutes(r),
  ],
});
