/**
 * The port on which the server terminates TLS itself. The server's own certificate is read from its
 * files when it begins to listen, and reloaded when they change.
 */
import { type Config, ConfigError } from "../config/config.ts";
import type { HttpServer, TlsListener } from "../kernel/http/server/server.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { soon } from "../kernel/tls/certificate-pair.ts";
import type { HostCertificates } from "../kernel/tls/host-certificates.ts";
import { createSniCallback, readPair } from "../kernel/tls/server-identity.ts";

export interface TlsEntrance {
  /** @throws the error of reading the server's own certificate */
  listen(address: { readonly port: number; readonly host: string }): Promise<void>;
  /** The port, once it listens. */
  readonly port: () => number | undefined;
  /**
   * Reloads the server's own certificate if it was renewed, and warns of certificates that expire
   * soon.
   */
  inspect(): Promise<void>;
}

export interface TlsEntranceOptions {
  readonly config: Pick<Config, "tlsCertFile" | "tlsKeyFile">;
  readonly http: Pick<HttpServer, "listenTls">;
  readonly certificates: Pick<HostCertificates, "contextFor" | "endingSoon">;
  readonly log: Logger;
}

export function createTlsEntrance(options: TlsEntranceOptions): TlsEntrance {
  const { config, http, certificates, log } = options;
  const { tlsCertFile: certFile, tlsKeyFile: keyFile } = config;
  const read = async () => {
    if (!certFile || !keyFile) return undefined;
    return readPair({ certFile, keyFile }).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new ConfigError([`TLS_CERT_FILE and TLS_KEY_FILE can't be used: ${why}`]);
    });
  };
  let listener: TlsListener | undefined;
  let shown: string | undefined;

  return {
    async listen({ port, host }) {
      const certificate = await read();
      shown = certificate?.fingerprint;
      const sniCallback = createSniCallback(certificates, log);
      listener = await http.listenTls({ port, host, tls: { sniCallback, certificate } });
      log.info({ port: listener.port }, "Insulae listens for TLS");
    },
    port: () => listener?.port,
    async inspect() {
      const pair = listener && (await read());
      if (pair && pair.fingerprint !== shown) {
        listener?.replaceCertificate(pair);
        shown = pair.fingerprint;
        log.info("Reloaded the server's own certificate");
      }
      if (pair && pair.notAfter < soon()) {
        log.warn({ not_after: pair.notAfter }, "The server's own certificate expires soon");
      }
      for (const { hostname, notAfter } of await certificates.endingSoon()) {
        log.warn({ host: hostname, not_after: notAfter }, "A host's certificate expires soon");
      }
    },
  };
}
