import type { Installation } from "../app/installation.ts";
import { CommandError, exitCodes } from "../doctor/failure.ts";
import { type KeyRow, listKeys, retireKey, rotateKeys } from "../kernel/identity/key-rotation.ts";
import { signingKeySealer } from "../kernel/identity/signing-keys.ts";
import { timeText } from "../kernel/lib/times.ts";
import type { CommandContext, Result } from "./command.ts";
import { auditCommand, withInstallation } from "./open.ts";
import { table } from "./table.ts";

const documentOf = ({ id, state, createdAt, signsFrom, retiredAt }: KeyRow) => ({
  id,
  state,
  created_at: timeText(createdAt),
  signs_from: timeText(signsFrom),
  retired_at: retiredAt ? timeText(retiredAt) : null,
});

const result = (keys: readonly KeyRow[], more: object = {}): Result => {
  const rows = keys.map((key) => {
    const { id, state, signs_from, retired_at } = documentOf(key);
    return [id, state, signs_from, retired_at ?? "–"];
  });
  return {
    document: { ...more, items: keys.map(documentOf) },
    text: table(["ID", "STATE", "SIGNS FROM", "RETIRED"], rows),
  };
};

/** With JWT_SECRET there are no keys to manage. */
function refuseSecret({ config }: Installation): void {
  if (config.jwtSecret === undefined) return;
  throw new CommandError(
    "signed_with_secret",
    "Tokens are signed with JWT_SECRET. To rotate, change it and restart all nodes; to use keys, unset it.",
    exitCodes.refused,
  );
}

export const showKeys = (context: CommandContext): Promise<Result> =>
  withInstallation(context, "look", async (installation) => {
    refuseSecret(installation);
    return result(await listKeys(installation.control));
  });

export const rotateSigningKeys = (context: CommandContext, now: boolean): Promise<Result> =>
  withInstallation(context, "change", async (installation) => {
    refuseSecret(installation);
    const { control, config, secrets } = installation;
    const accessTtlSeconds = config.accessTokenSeconds;
    const sealer = signingKeySealer(secrets);
    const made = await rotateKeys(control, { sealer, accessTtlSeconds, now });
    const target = { type: "signing_key", id: made };
    await auditCommand(installation)({ action: "signing_keys.rotated", target, detail: { now } });
    return result(await listKeys(control), { made });
  });

export const retireSigningKey = (context: CommandContext, id: string): Promise<Result> =>
  withInstallation(context, "change", async (installation) => {
    refuseSecret(installation);
    await retireKey(installation.control, id);
    const target = { type: "signing_key", id };
    await auditCommand(installation)({ action: "signing_key.retired", target });
    return result(await listKeys(installation.control), { retired: id });
  });
