import { Type } from "typebox";
import { nameText, nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";

const Scope = Type.String({ maxLength: 100, examples: ["contacts:read"] });
const Attribute = Type.String({
  maxLength: 200,
  pattern: "^[A-Za-z0-9.]{1,30}=[^\\r\\n]+$",
  examples: ["O=Acme", "OU=Fleet"],
});
const Kind = Type.Union([Type.Literal("certificate"), Type.Literal("authority")], {
  description:
    "certificate: only this one, by its fingerprint; authority: every client certificate that it issues.",
});

export const NewClientCertificate = Type.Object({
  name: nameText(100),
  kind: Type.Optional(Kind),
  certificate: Type.String({ maxLength: 16_384, description: "PEM, one certificate." }),
  required_subject: Type.Optional(
    Type.Array(Attribute, {
      maxItems: 10,
      uniqueItems: true,
      description:
        "Attributes that the subject of a certificate issued by this authority must have.",
    }),
  ),
  scopes: Type.Optional(
    Type.Array(Scope, {
      maxItems: 100,
      uniqueItems: true,
      description:
        "A subset of your permissions. A client that presents the certificate acts as you with these permissions. Without scopes, the certificate only identifies the tenant.",
    }),
  ),
});

export const ClientCertificate = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    kind: Kind,
    fingerprint: Type.String({ description: "SHA-256, hexadecimal." }),
    subject: Type.String(),
    required_subject: Type.Array(Type.String()),
    user_id: nullable(uuid),
    scopes: Type.Array(Type.String()),
    valid_from: timestamp,
    expires_at: timestamp,
    created_at: timestamp,
  },
  { $id: "ClientCertificate" },
);
