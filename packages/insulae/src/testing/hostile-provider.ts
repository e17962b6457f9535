/** An OpenID Connect provider with some wrong endpoints. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { onTestFinished } from "vitest";

const providerKey = generateKeyPair("ES256");

/**
 * @param hostile members of its document that replace its own
 * @returns the issuer
 */
export async function openProviderWith(
  hostile: Readonly<Record<string, string>>,
  { client, nonce }: { readonly client: string; readonly nonce: string },
): Promise<string> {
  const { publicKey, privateKey } = await providerKey;
  const tokensOf = async (issuer: string) => ({
    access_token: "a",
    token_type: "Bearer",
    id_token: await new SignJWT({ nonce, sub: "ada" })
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .setIssuer(issuer)
      .setAudience(client)
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(privateKey),
  });
  const documentOf = (issuer: string) => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    id_token_signing_alg_values_supported: ["ES256"],
    ...hostile,
  });
  const server = createServer(async ({ url, headers }, reply) => {
    const issuer = `http://${headers.host}`;
    const answer =
      url === "/token"
        ? await tokensOf(issuer)
        : url === "/keys"
          ? { keys: [{ ...(await exportJWK(publicKey)), kid: "k", alg: "ES256", use: "sig" }] }
          : documentOf(issuer);
    reply.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // an IP address, because it listens on TCP
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
