import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { SignedIn } from "./accounts.schemas.ts";
import { invalidLink } from "./recovery.ts";
import { signInByLink } from "./start.ts";

export const startRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/start",
    {
      permission: "public",
      context: "core",
      audit: "auth.started",
      limit: "credentials",
      summary: "Signs a platform administrator in by a one-time link",
      description:
        "With the token of the link that a server in development prints when it starts, or of `insulae admin link`. It works once, for 15 minutes. The session is a cookie; a second factor is asked for as at log-in.",
      body: Type.Object(
        { token: Type.String({ minLength: 1, maxLength: 200, description: "The link's token." }) },
        { $id: "StartLink" },
      ),
      response: SignedIn,
      errors: [invalidLink],
    },
    ({ platform, request, body, header, audit }) =>
      signInByLink({ platform, request, browser: header, audit }, body.token),
  ),
];
