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
      description:
        "The last sender; null if they were deleted, in which case it has to be sent again.",
    }),
    state: Type.Union([Type.Literal("waiting"), Type.Literal("expired"), Type.Literal("void")], {
      description:
        "`void`: nobody can accept it, because its sender is gone or the invited person is a user already. An expired or void invitation does not prevent a new one.",
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
        description: "The tenant's own roles to grant in addition, by id or name.",
      }),
    ),
  },
  { $id: "NewInvitation" },
);

/** An open invitation as its recipient sees it. */
export const WaitingInvitation = Type.Object(
  { id: uuid, tenant: TenantSummary, role: Role, roles: OwnRoles, expires_at: timestamp },
  { $id: "WaitingInvitation" },
);

export const InvitationPreview = Type.Object(
  {
    ...WaitingInvitation.properties,
    email: Type.String(),
    has_account: Type.Boolean({
      description: "Whether the invited person has an account and should sign in first.",
    }),
  },
  { $id: "InvitationPreview" },
);

export const InvitationToken = Type.String({
  minLength: 1,
  maxLength: 200,
  description: "The token from the link in the e-mail.",
});

export const Acceptance = Type.Object(
  {
    token: Type.Optional(InvitationToken),
    invitation_id: Type.Optional({
      ...uuid,
      description:
        "Instead of the token, for a signed-in account: the id from `GET /auth/tenants`.",
    }),
    password: Type.Optional(NewPassword),
    first_name: Type.Optional(PersonName),
    last_name: Type.Optional(PersonName),
    session: Type.Optional(SessionChoice),
  },
  {
    $id: "InvitationAcceptance",
    description: "For people who are not signed in: the password of their new account.",
  },
);
