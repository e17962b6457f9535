import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { UserView } from "../users/users.feature.ts";
import type { AccountView } from "./accounts.queries.ts";

/** Who signs in, in which epoch: a user of a tenant, or an account at the platform. */
export type Subject = UserSubject | AccountSubject;

export interface UserSubject {
  readonly tenant: Tenant;
  readonly user: UserView;
  /** The account that the user is linked to. */
  readonly accountId: AccountId | null;
  readonly epoch: string;
}

export interface AccountSubject {
  readonly account: AccountView;
  readonly epoch: string;
}

/** The request that signs somebody in, and how to answer it. */
export interface SignInContext {
  readonly platform: Platform;
  readonly request: RequestInfo;
  /** Sets a response header. Present if the client asked for a cookie instead of tokens. */
  readonly browser?: ((name: string, value: string) => void) | undefined;
  /** Put names into the access token; see `ShownNames`. */
  readonly showNames?: boolean | undefined;
}
