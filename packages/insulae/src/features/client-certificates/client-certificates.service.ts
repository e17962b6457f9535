import { X509Certificate } from "node:crypto";
import type { Kysely } from "kysely";
import type { Static } from "typebox";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { TenantPrincipal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { TenantId } from "../../kernel/lib/ids.ts";
import { inTurn } from "../../kernel/lib/in-turn.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import { fingerprintOf, unfitCertificate } from "../../kernel/tls/certificate-pair.ts";
import { refuseUnheld } from "../users/users.feature.ts";
import type { ClientCertificate, NewClientCertificate } from "./client-certificates.schemas.ts";

export const clientCertificateExists = defineError(
  "client_certificate_exists",
  409,
  "The tenant has already registered this certificate",
);
export const clientCertificateNotFound = defineError(
  "client_certificate_not_found",
  404,
  "There is no such client certificate",
);
export const tooManyClientCertificates = defineError(
  "too_many_client_certificates",
  409,
  "The tenant has too many client certificates. Register their certificate authority instead.",
);

const maxCertificates = 1_000;
/**
 * Two suffice to rotate a CA. The bound limits how many CAs an unknown certificate is verified
 * against.
 */
const maxOfOneSubject = 4;

const columns = [
  "id",
  "name",
  "kind",
  "fingerprint",
  "subject",
  "required_subject",
  "user_id",
  "scopes",
  "not_before",
  "not_after",
  "created_at",
] as const;

type Row = Awaited<ReturnType<typeof findRows>>[number];

const findRows = (control: Kysely<ControlTables>, tenantId: TenantId) =>
  control
    .selectFrom("control.client_certificates")
    .select(columns)
    .where("tenant_id", "=", tenantId)
    .orderBy("id")
    .execute();

const viewOf = (row: Row): Static<typeof ClientCertificate> => ({
  id: row.id,
  name: row.name,
  kind: row.kind,
  fingerprint: row.fingerprint,
  subject: row.subject,
  required_subject: row.required_subject,
  user_id: row.user_id,
  scopes: row.scopes,
  valid_from: row.not_before.toISOString(),
  expires_at: row.not_after.toISOString(),
  created_at: row.created_at.toISOString(),
});

export const listClientCertificates = async (
  control: Kysely<ControlTables>,
  tenantId: TenantId,
): Promise<Static<typeof ClientCertificate>[]> => (await findRows(control, tenantId)).map(viewOf);

/**
 * Registers a certificate or certificate authority for the user's tenant. With scopes, its holder
 * acts as this user with at most these permissions.
 *
 * @throws unfitCertificate, permissionNotHeld, clientCertificateExists, tooManyClientCertificates
 */
export async function registerClientCertificate(
  { control }: Pick<Platform, "control">,
  user: TenantPrincipal,
  input: Static<typeof NewClientCertificate>,
): Promise<Static<typeof ClientCertificate>> {
  const { kind = "certificate", scopes = [], required_subject = [] } = input;
  refuseUnheld(user, scopes);
  const x509 = readCertificate(input.certificate);
  if (kind === "authority" && !x509.ca) {
    throw unfitCertificate({ detail: "This is not the certificate of a certificate authority." });
  }
  if (kind === "certificate" && x509.ca) {
    throw unfitCertificate({
      detail: "This is a certificate authority's certificate. Register it as an authority.",
    });
  }
  if (kind === "certificate" && required_subject.length > 0) {
    throw unfitCertificate({ detail: "Only certificate authorities can have a required subject." });
  }
  const row = await control.transaction().execute(async (tx) => {
    await inTurn(tx, "client_certificates", user.tenantId);
    const { count, alike } = await tx
      .selectFrom("control.client_certificates")
      .select((eb) => [
        eb.fn.countAll<string>().as("count"),
        eb.fn
          .countAll<string>()
          .filterWhere("kind", "=", "authority")
          .filterWhere("subject", "=", x509.subject)
          .as("alike"),
      ])
      .where("tenant_id", "=", user.tenantId)
      .executeTakeFirstOrThrow();
    if (Number(count) >= maxCertificates) throw tooManyClientCertificates();
    if (kind === "authority" && Number(alike) >= maxOfOneSubject) {
      const detail = `A subject can have at most ${maxOfOneSubject} certificate authorities. Remove one first.`;
      throw tooManyClientCertificates({ detail });
    }
    return tx
      .insertInto("control.client_certificates")
      .values({
        tenant_id: user.tenantId,
        name: input.name,
        kind,
        fingerprint: fingerprintOf(x509),
        certificate: x509.toString(),
        subject: x509.subject,
        required_subject: [...required_subject],
        user_id: scopes.length > 0 ? user.id : null,
        scopes: [...scopes],
        not_before: new Date(x509.validFrom),
        not_after: new Date(x509.validTo),
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning(columns)
      .executeTakeFirst();
  });
  if (!row) throw clientCertificateExists();
  return viewOf(row);
}

function readCertificate(pem: string): X509Certificate {
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(pem);
  } catch (cause) {
    throw unfitCertificate({ detail: "The certificate cannot be read as PEM.", cause });
  }
  if (Date.parse(x509.validTo) <= Date.now()) {
    throw unfitCertificate({ detail: "The certificate has expired." });
  }
  // An index entry holds at most 2,700 bytes.
  if (Buffer.byteLength(x509.subject) > 2_000) {
    throw unfitCertificate({ detail: "The certificate's subject is too long." });
  }
  return x509;
}

/**
 * Removes the registration. Open connections lose access as soon as they receive the notification.
 */
export async function removeClientCertificate(
  { control, clientCertificates }: Pick<Platform, "control" | "clientCertificates">,
  tenantId: TenantId,
  id: string,
): Promise<void> {
  const { numDeletedRows } = await control
    .deleteFrom("control.client_certificates")
    .where("id", "=", id)
    .where("tenant_id", "=", tenantId)
    .executeTakeFirst();
  clientCertificates.forgetAll();
  if (numDeletedRows === 0n) throw clientCertificateNotFound();
}
