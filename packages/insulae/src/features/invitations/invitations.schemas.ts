import { Type } from "typebox";
import { timestamp, uuid } from "../../kernel/feature/fields.ts";
import { SessionChoice, TenantSummary } from "../accounts/accounts.feature.ts";
import { Email, NewPassword, PersonName, Role } from "../users/users.feature.ts";

const OwnRoles = Type.Array(Type.String(), { description: "The tenant's own roles, by name." });

export const Invitation = Type.Object(
  {
    id: uuid,
    email: Type.String(),
    role: Role,
    roles: OwnRoles,
    sent_by: Type.Union([uuid, Type.Null()], {
      description: "Who sent it last; null: they are gone, and it has to be sent again.",
    }),
    state: Type.Union([Type.Literal("waiting"), Type.Literal("expired"), Type.Literal("void")], {
      description:
        "`void`: nobody can accept it, since its sender is gone or the invited is a user already. What is expired or void doesn't keep anybody from being invited again.",
    }),
    expires_at: timestamp,
    created_at: timestamp,
  },
  { $id: "Invitation" },
);

export const NewInvitation = Type.Object(
  {
    email: Email,
    role: Type.Optional(Role),
    roles: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
        maxItems: 50,
        description: "Roles of the tenant's own to give as well, by id or name.",
      }),
    ),
  },
  { $id: "NewInvitation" },
);

/** What waits for somebody. */
export const WaitingInvitation = Type.Object(
  { id: uuid, tenant: TenantSummary, role: Role, roles: OwnRoles, expires_at: timestamp },
  { $id: "WaitingInvitation" },
);

export const InvitationPreview = Type.Object(
  {
    ...WaitingInvitation.properties,
    email: Type.String(),
    has_account: Type.Boolean({ description: "Whether to sign in first, instead of registering." }),
  },
  { $id: "InvitationPreview" },
);

export const InvitationToken = Type.String({
  minLength: 1,
  maxLength: 200,
  description: "Of the mail's link.",
});

export const Acceptance = Type.Object(
  {
    token: Type.Optional(InvitationToken),
    invitation_id: Type.Optional({
      ...uuid,
      description:
        "Instead of the token, for a signed-in account: as `GET /auth/tenants` shows it.",
    }),
    password: Type.Optional(NewPassword),
    first_name: Type.Optional(PersonName),
    last_name: Type.Optional(PersonName),
    session: Type.Optional(SessionChoice),
  },
  {
    $id: "InvitationAcceptance",
    description: "Whoever is not signed in chooses a password, and has an account then.",
  },
);
