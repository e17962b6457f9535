/**
 * A node's background work: it builds the template of tenant databases, so that the first tenant
 * doesn't wait for it, and deletes what is due. Safe on several nodes at once.
 */
import type { Installation } from "./installation.ts";
import type { Services } from "./services.ts";
import type { TlsEntrance } from "./tls-entrance.ts";

const sweepEveryMs = 3_600_000;

export function startUpkeep(
  { provisioning, main, log }: Installation,
  { platform, mailSender, jobRunner, anchors }: Services,
  tls: TlsEntrance,
) {
  const attempt = (what: string, work: () => Promise<void>) =>
    work().catch((error: unknown) => log.error({ err: error }, `${what}; will retry`));
  const stopping = new AbortController();
  const sweep = async () => {
    if (stopping.signal.aborted) return;
    const { tenants, oneTimeTokens, sessions, storage } = platform;
    await attempt("Could not erase deleted tenants", () => tenants.sweep(stopping.signal));
    await attempt("Could not delete old mails", () => mailSender.sweep());
    await attempt("Could not delete old jobs", jobRunner.sweep);
    await attempt("Could not delete expired tokens", () => oneTimeTokens.sweep());
    await attempt("Could not delete old sessions", () => sessions.sweep());
    await attempt("Could not delete remains of uploads", () => storage.sweep());
    await attempt("Could not anchor the audit logs", () => anchors.anchor(stopping.signal));
    await attempt("Could not check the certificates", tls.inspect);
  };
  let running = attempt("Could not build the template of tenant databases", () =>
    provisioning.prepareTemplate(main.id),
  ).then(sweep);
  const timer = setInterval(() => {
    running = running.then(sweep);
  }, sweepEveryMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await running;
    },
  };
}
