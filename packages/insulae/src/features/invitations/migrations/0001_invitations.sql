-- Those that wait to be accepted. The token in the mail's link is in control.one_time_tokens.
create table invitations (
  id uuid primary key default app.uuid_v7(),
  -- In its canonical form, like a user's.
  email text not null,
  role text not null check (role in ('owner', 'admin', 'manager', 'user', 'viewer')),
  -- Roles of the tenant's own; one that is deleted meanwhile is not given.
  role_ids uuid[] not null default '{}',
  -- Who sent it last and answers for it; null: they are no longer here.
  sent_by uuid,
  -- How often it was sent: only the newest mail's link is good.
  sendings integer not null default 1,
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  constraint invitations_email_key unique (email)
);

select app.tenant_table('invitations');
select app.tenant_reference('invitations', 'sent_by', 'users', 'set null');

-- down
drop table invitations;
