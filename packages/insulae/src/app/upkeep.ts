/**
 * What a node does beside answering requests: it builds the template of tenant databases, so that the
 * first tenant doesn't wait for it, and erases what is due. Several nodes may do it at once.
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
    work().catch((error: unknown) => log.error({ err: error }, `${what}; it will be tried again`));
  const stopping = new AbortController();
  const sweep = async () => {
    if (stopping.signal.aborted) return;
    const { tenants, oneTimeTokens, sessions, storage } = platform;
    await attempt("Deleted tenants could not be erased", () => tenants.sweep(stopping.signal));
    await attempt("Old mails could not be deleted", () => mailSender.sweep());
    await attempt("Old jobs could not be deleted", jobRunner.sweep);
    await attempt("Expired tokens could not be deleted", () => oneTimeTokens.sweep());
    await attempt("Sessions of the past could not be deleted", () => sessions.sweep());
    await attempt("What unfinished uploads left could not be deleted", () => storage.sweep());
    await attempt("The audit logs could not be anchored", () => anchors.anchor(stopping.signal));
    await attempt("The certificates could not be looked at", tls.inspect);
  };
  let running = attempt("The template of tenant databases could not be built", () =>
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
