import type { ColumnType, Generated, JSONColumnType } from "kysely";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import type { AuthenticationMethod } from "../model/authentication-methods.ts";
import type { HostSettings } from "../model/host-settings.ts";
import type { MovePlace, MoveProgress, MoveReport, MoveState } from "../model/move.ts";
import type { Isolation, TenantStatus } from "../model/tenant.ts";

type Stamp = ColumnType<Date, never, never>;
type Id<T extends string> = ColumnType<T, T | undefined, never>;

/** The tables of the schema `control`; see `migrations/control`. */
export interface ControlTables {
  "control.servers": {
    id: Id<string>;
    name: string;
    sealed_url: string | null;
    weight: Generated<number>;
    accepting: Generated<boolean>;
    created_at: Stamp;
  };
  "control.placements": {
    id: Id<string>;
    server_id: string;
    database: string;
    schema: string;
    isolation: Isolation;
    version: Generated<number>;
    created_at: Stamp;
  };
  /** Written only by `kernel/moves`. */
  "control.moves": {
    id: Id<string>;
    tenant_id: TenantId;
    kind: "move" | "restore" | "revert";
    state: Generated<MoveState>;
    epoch: Generated<number>;
    holder: string | null;
    lease_until: ColumnType<Date | null, never, Date | null>;
    attempts: Generated<number>;
    abort_wanted: Generated<boolean>;
    from_placement: string;
    to_placement: string | null;
    source: JSONColumnType<MovePlace, string, string>;
    target: JSONColumnType<MovePlace, string, string>;
    keep_seconds: number;
    keep_until: ColumnType<Date | null, never, Date | null>;
    progress: JSONColumnType<MoveProgress, string | undefined, string>;
    report: JSONColumnType<MoveReport, string | undefined, string>;
    error: string | null;
    created_at: Stamp;
    state_at: Stamp;
  };
  "control.accounts": {
    id: Id<AccountId>;
    email: string;
    password_hash: string;
    /** Given together with a hash of the same password; not a stored column. */
    renewed_hash: ColumnType<never, never, string>;
    first_name: Generated<string>;
    last_name: Generated<string>;
    platform_admin: Generated<boolean>;
    is_owner: Generated<boolean>;
    is_active: Generated<boolean>;
    email_verified: Generated<boolean>;
    /** Changing it ends all sessions of the account and of the users linked to it. */
    sessions_valid_from: ColumnType<Date, never, Date>;
    created_at: Stamp;
    updated_at: Stamp;
  };
  "control.tenants": {
    id: Id<TenantId>;
    key: string;
    slug: string;
    /** A bigint, which `pg` returns as text. */
    number: ColumnType<string, never, never>;
    name: string;
    status: Generated<TenantStatus>;
    plan: Generated<string>;
    settings: JSONColumnType<Record<string, unknown>, string | undefined, string>;
    owner_account_id: AccountId | null;
    placement_id: ColumnType<string | null, string | null | undefined, string | null>;
    /** A move is under way: see `kernel/moves`. */
    moving: ColumnType<"following" | "closing" | null, never, "following" | "closing" | null>;
    deleted_at: ColumnType<Date | null, never, Date | null>;
    erase_after: ColumnType<Date | null, never, Date | null>;
    created_at: Stamp;
    updated_at: Stamp;
  };
  "control.hosts": {
    hostname: string;
    tenant_id: TenantId | null;
    /** The key of a future tenant. */
    waits_for: Generated<string | null>;
    settings: JSONColumnType<HostSettings, string | undefined, string>;
    created_at: Stamp;
  };
  "control.host_certificates": {
    hostname: string;
    certificate: string;
    sealed_key: string;
    fingerprint: string;
    not_after: ColumnType<Date, Date, Date>;
    created_at: Stamp;
  };
  "control.client_certificates": {
    id: Id<string>;
    tenant_id: TenantId;
    name: string;
    kind: "certificate" | "authority";
    fingerprint: string;
    certificate: string;
    subject: string;
    required_subject: string[];
    user_id: UserId | null;
    scopes: string[];
    not_before: ColumnType<Date, Date, never>;
    not_after: ColumnType<Date, Date, never>;
    created_at: Stamp;
  };
  "control.email_domains": {
    tenant_id: TenantId;
    domain: string;
    token: string;
    role: "user" | "viewer";
    created_at: Stamp;
    proven_at: ColumnType<Date | null, never, Date | null>;
  };
  "control.host_claims": {
    tenant_id: TenantId;
    hostname: string;
    token: string;
    created_at: Stamp;
    proven_at: ColumnType<Date | null, never, Date | null>;
  };
  "control.memberships": {
    account_id: AccountId;
    tenant_id: TenantId;
    user_id: UserId;
    created_at: Stamp;
  };
  "control.sessions": {
    id: Id<string>;
    /** Null: `subject_id` is an account. */
    tenant_id: TenantId | null;
    subject_id: AccountId | UserId;
    kind: "token" | "cookie";
    epoch: string;
    impersonator_id: AccountId | null;
    ip: string | null;
    user_agent: string | null;
    created_at: Stamp;
    last_used_at: ColumnType<Date, never, Date>;
    expires_at: Date;
    ended_at: ColumnType<Date | null, never, Date>;
    refresh_generation: Generated<number>;
    refresh_hash: Buffer | null;
    refreshed_at: ColumnType<Date, never, Date>;
    amr: AuthenticationMethod[];
    proved_at: ColumnType<Date, Date | undefined, Date>;
    cookie_hash: ColumnType<Buffer | null, Buffer | undefined, never>;
    prolonged_until: ColumnType<Date | null, Date | undefined, never>;
  };
  "control.impersonations": {
    /** The session's id. */
    id: string;
    tenant_id: TenantId;
    user_id: UserId;
    administrator_id: AccountId;
    reason: string;
    created_at: Stamp;
    ends_at: ColumnType<Date, Date, never>;
    ended_at: ColumnType<Date | null, never, never>;
  };
  "control.signing_keys": {
    id: string;
    algorithm: string;
    public_jwk: JSONColumnType<Record<string, unknown>>;
    sealed_private_jwk: string;
    created_at: Stamp;
    signs_from: ColumnType<Date, Date | undefined, never>;
    retired_at: ColumnType<Date | null, never, Date | null>;
  };
  /** Written only by `kernel/audit`; the database assigns number, time and hashes. */
  "control.audit_log": {
    /** A bigint, which `pg` returns as text. */
    seq: ColumnType<string, never, never>;
    id: ColumnType<string, never, never>;
    at: Stamp;
    action: string;
    outcome: "succeeded" | "failed" | "refused";
    actor_kind: string;
    actor_id: string | null;
    actor_name: string | null;
    impersonator: string | null;
    target_type: string | null;
    target_id: string | null;
    ip: string | null;
    user_agent: string | null;
    request_id: string | null;
    detail: JSONColumnType<Record<string, unknown>, string, never>;
    previous_hash: ColumnType<string | null, never, never>;
    hash: ColumnType<string, never, never>;
  };
  "control.mails": {
    id: Id<string>;
    tenant_id: ColumnType<TenantId | null, TenantId | null | undefined, never>;
    template: string;
    recipient: string;
    variables: JSONColumnType<Record<string, unknown>, string, string>;
    state: Generated<"waiting" | "sent" | "dropped" | "failed">;
    attempts: Generated<number>;
    due_at: Generated<Date>;
    reason: string | null;
    created_at: Stamp;
    finished_at: ColumnType<Date | null, never, Date>;
  };
  "control.handed_over_mails": {
    provider_id: string;
    mail_id: string;
    tenant_id: TenantId | null;
    created_at: Stamp;
  };
  "control.usage_daily": {
    tenant_id: TenantId;
    day: string;
    metric: string;
    /** A bigint, which `pg` returns as text. */
    amount: ColumnType<string, number, number>;
  };
  "control.usage_flushes": { node: string; sequence: number; at: Stamp };
  "control.usage_measured": { tenant_id: TenantId; at: Date };
  "control.outbox_marks": {
    tenant_id: TenantId;
    node: string;
    until: Date;
  };
  "control.captured_messages": {
    id: string;
    tenant_id: TenantId | null;
    channel: "email" | "sms" | "push";
    template: string | null;
    recipient: string;
    /** For e-mail `subject`, `text` and `html`; otherwise `text`, and for a push `title`. */
    content: JSONColumnType<{ subject: string; text: string; html: string }, string, string>;
    created_at: Stamp;
  };
  "control.factors": {
    id: Id<string>;
    /** Null: `subject_id` is an account. */
    tenant_id: TenantId | null;
    subject_id: string;
    kind: "totp" | "passkey";
    name: string;
    created_at: Stamp;
    last_used_at: ColumnType<Date | null, never, Date>;
    sealed_secret: string | null;
    /** A bigint, which `pg` returns as text. */
    last_step: ColumnType<string | null, number | undefined, number>;
    credential_id: string | null;
    public_key: Buffer | null;
    /** A bigint, which `pg` returns as text. */
    counter: ColumnType<string | null, number | undefined, number>;
    transports: string[] | null;
    rp_id: string | null;
    backup_eligible: ColumnType<boolean | null, boolean | undefined, boolean | null>;
  };
  "control.recovery_codes": {
    hash: Buffer;
    tenant_id: TenantId | null;
    subject_id: string;
  };
  "control.factor_attempts": {
    tenant_id: TenantId | null;
    subject_id: string;
    attempts: number;
    paused_until: Date;
  };
  "control.one_time_tokens": {
    id: Id<string>;
    purpose: string;
    tenant_id: TenantId | null;
    subject_id: string;
    hash: Buffer;
    detail: JSONColumnType<Record<string, string>, string, string>;
    single: Generated<boolean>;
    expires_at: Date;
    created_at: Stamp;
  };
}
