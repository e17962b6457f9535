-- What Amazon SES calls the mails that it took, so that its reports of bounces find them.
create table control.handed_over_mails (
  provider_id text primary key,
  -- The mail's id, or the notification's.
  mail_id uuid not null,
  -- Null: the platform's.
  tenant_id uuid references control.tenants on delete cascade,
  created_at timestamptz not null default now()
);
create index handed_over_mails_created_at on control.handed_over_mails (created_at);
create index handed_over_mails_tenant on control.handed_over_mails (tenant_id);
grant select, insert, delete on control.handed_over_mails to insulae_control;

-- down
drop table control.handed_over_mails;
