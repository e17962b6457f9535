-- Mails to be sent, and what became of them. A row says what to write and to whom; the mail itself,
-- with the secrets that its links hold, is made when it is sent.
create table control.mails (
  id uuid primary key default app.uuid_v7(),
  tenant_id uuid references control.tenants on delete cascade,
  template text not null,
  recipient text not null,
  variables jsonb not null default '{}',
  -- dropped: when its turn came there was nothing to send.
  state text not null default 'waiting'
    check (state in ('waiting', 'sent', 'dropped', 'failed')),
  attempts integer not null default 0,
  -- When it may be taken. Whoever takes it moves this on, and nobody else takes it meanwhile.
  due_at timestamptz not null default now(),
  -- Why the last attempt failed.
  reason text,
  -- The mail, where mails are captured and not sent.
  captured jsonb,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);
create index mails_due on control.mails (due_at) where state = 'waiting';
create index mails_finished on control.mails (finished_at) where state <> 'waiting';
create index mails_captured on control.mails (id) where captured is not null;
create index mails_tenant on control.mails (tenant_id);

create function control.announce_mail() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'mail');
  return null;
end $$;

create trigger mails_announce after insert on control.mails
  for each statement execute function control.announce_mail();

-- Tokens that are sent to somebody and work once: to verify an e-mail, to set a password. One of a
-- purpose for a subject: a new one takes the place of the older one.
create table control.one_time_tokens (
  id uuid primary key default app.uuid_v7(),
  purpose text not null,
  -- Null: the subject is an account; otherwise it is a user of this tenant.
  tenant_id uuid references control.tenants on delete cascade,
  subject_id uuid not null,
  -- SHA-256 of the token.
  hash bytea not null unique,
  -- What it was issued for, such as the e-mail that it was sent to.
  detail jsonb not null default '{}',
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  constraint one_time_tokens_subject_key
    unique nulls not distinct (purpose, tenant_id, subject_id)
);
create index one_time_tokens_expiry on control.one_time_tokens (expires_at);
create index one_time_tokens_tenant on control.one_time_tokens (tenant_id);

grant select, insert, update, delete on control.mails, control.one_time_tokens
  to insulae_control;

-- down
drop table control.one_time_tokens;
drop table control.mails;
drop function control.announce_mail();
