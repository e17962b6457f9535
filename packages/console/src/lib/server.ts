import { ApiError } from "@insulae/client";
import { useQuery } from "@tanstack/react-query";
import { serverUrl } from "./place.ts";

/** What the server says of itself to everybody: `GET /auth/context`. */
export interface ServerContext {
  readonly version: string;
  readonly environment: string;
  /** The tenant whose host this is; null at the platform's. */
  readonly tenant: {
    readonly id: string;
    readonly key: string;
    readonly name: string;
    readonly branding?: Readonly<Record<string, string>>;
  } | null;
  readonly password_login: boolean;
  readonly registration: boolean;
  readonly passkeys: boolean;
  readonly providers: readonly { readonly key: string; readonly name: string }[];
  /** Mails are captured at `/dev/mails`. */
  readonly captured_mail: boolean;
  /** Nobody has signed in yet. */
  readonly first_sign_in: boolean;
}

export const useServer = () =>
  useQuery({
    queryKey: ["server"],
    queryFn: async (): Promise<ServerContext> => {
      const response = await fetch(`${serverUrl}/api/v1/auth/context`);
      const answer = await response.json();
      if (!response.ok) throw new ApiError(answer);
      return answer;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
