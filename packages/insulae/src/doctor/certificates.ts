import { type Kysely, sql } from "kysely";
import type { Config } from "../config/config.ts";
import type { ControlTables } from "../kernel/schema/control-tables.ts";
import { soon } from "../kernel/tls/certificate-pair.ts";
import { readPair } from "../kernel/tls/server-identity.ts";
import { type Check, look, ok, warning } from "./check.ts";

export interface CertificatesToCheck {
  readonly config: Pick<Config, "tlsCertFile" | "tlsKeyFile">;
  readonly control: Kysely<ControlTables>;
}

const name = "certificates";

/**
 * Checks the server's own certificate and those of hosts: whether they are usable, and for how
 * long.
 */
export async function checkCertificates(given: CertificatesToCheck): Promise<readonly Check[]> {
  return [...(await checkOwn(given.config)), ...(await checkHosts(given.control))];
}

async function checkOwn({
  tlsCertFile: certFile,
  tlsKeyFile: keyFile,
}: CertificatesToCheck["config"]): Promise<readonly Check[]> {
  if (certFile === undefined || keyFile === undefined) return [];
  const remedy = "renew it, or set TLS_CERT_FILE and TLS_KEY_FILE to a valid one";
  return look("certificate", remedy, async () => {
    const { notAfter } = await readPair({ certFile, keyFile });
    const message = `the server's own is valid until ${notAfter.toISOString()}`;
    return notAfter < soon() ? warning("certificate", message, remedy) : ok("certificate", message);
  });
}

const checkHosts = (control: Kysely<ControlTables>): Promise<readonly Check[]> =>
  look(name, "run insulae migrate up", async () => {
    const { rows } = await sql<{ there: boolean }>`
      select to_regclass('control.host_certificates') is not null as there`.execute(control);
    // Another check reports a control plane that is behind.
    if (!rows[0]?.there) return [];
    const ending = await control
      .selectFrom("control.host_certificates")
      .select(["hostname", "not_after"])
      .where("not_after", "<", soon())
      .orderBy("not_after")
      .limit(20)
      .execute();
    if (ending.length === 0) return ok(name, "no host's certificate expires within three weeks");
    const lines = ending.map((row) => `${row.hostname} until ${row.not_after.toISOString()}`);
    return warning(name, lines.join("\n"), "renew them and upload the new ones");
  });
