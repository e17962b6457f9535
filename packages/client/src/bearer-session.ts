/**
 * A session whose access tokens come from somewhere else, such as a tab's tenant token, which the session of
 * another client is asked for. There is nothing to store or refresh here.
 */
import { createTerm, type Session } from "./session.ts";

export interface BearerSource {
  /**
   * The access token to send. Called before each request, so keep it while it is good.
   *
   * @param refused the token that the server has just refused as invalid: get another one. If the answer is the
   *   same token, the session has ended.
   */
  bearer(refused?: string): Promise<string>;
}

interface BearerSessionOptions {
  readonly source: BearerSource;
  readonly tenant: string | undefined;
  readonly onEnd: () => void;
}

export function bearerSession({ source, tenant, onEnd }: BearerSessionOptions): Session {
  const term = createTerm();
  /** For several requests that were refused at once. */
  let renewing: { readonly refused: string; readonly token: Promise<string> } | undefined;

  function renewed(refused: string): Promise<string> {
    if (renewing?.refused === refused) return renewing.token;
    const token = source.bearer(refused).finally(() => {
      if (renewing?.token === token) renewing = undefined;
    });
    renewing = { refused, token };
    return token;
  }

  return {
    signal: term.signal,
    keep: async () => {},

    async headers() {
      const token = await source.bearer();
      return { authorization: `Bearer ${token}`, ...(tenant && { "x-tenant": tenant }) };
    },

    async renew({ code }, { authorization }) {
      if (code !== "invalid_token" || authorization === undefined) return false;
      const refused = authorization.slice("Bearer ".length);
      if ((await renewed(refused)) !== refused) return true;
      term.end();
      onEnd();
      return false;
    },

    forget: async () => term.end(),
  };
}
