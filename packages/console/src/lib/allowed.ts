import { useApiContext } from "./context.tsx";
import { defineTexts, useText } from "./i18n.ts";
import { type Me, useMe } from "./me.ts";
import { operations } from "./operations.gen.ts";

/** An operation of the API: `post /tenants/{id}/suspend`. */
export type OperationName = keyof typeof operations;

type Verdict = "allowed" | "permission" | "personal";

const texts = defineTexts({
  en: {
    permission: (permission: string, role: string) =>
      `Needs ${permission}.${role && ` Your role is ${role}.`} Whoever manages roles here can change that.`,
    personal: "Only the person themself may do this.",
    platform: "Only administrators of the platform may do this.",
  },
  de: {
    permission: (permission: string, role: string) =>
      `Braucht ${permission}.${role && ` Ihre Rolle ist ${role}.`} Wer hier Rollen verwaltet, kann das ändern.`,
    personal: "Das darf nur die Person selbst.",
    platform: "Das dürfen nur Administratoren der Plattform.",
  },
});

/** @param needs as in `operations`: `users:write`, `platform personal` */
export function verdictOf(
  needs: string,
  { user, permissions }: Pick<Me, "user" | "permissions">,
  isImpersonation: boolean,
): Verdict {
  const [permission = "", personal] = needs.split(" ");
  if (isImpersonation && personal) return "personal";
  if (permission === "public" || permission === "authenticated") return "allowed";
  if (permission === "platform") return user.platform_admin ? "allowed" : "permission";
  return permissions.includes(permission) ? "allowed" : "permission";
}

/** Why whoever is signed in may not do this; undefined: they may. */
export function useRefusal(operation: OperationName): string | undefined {
  const t = useText(texts);
  const me = useMe();
  const { impersonation } = useApiContext();
  const needs = operations[operation];
  const verdict = verdictOf(needs, me, impersonation !== undefined);
  if (verdict === "allowed") return undefined;
  if (verdict === "personal") return t.personal;
  const [permission = ""] = needs.split(" ");
  return permission === "platform" ? t.platform : t.permission(permission, me.role ?? "");
}
