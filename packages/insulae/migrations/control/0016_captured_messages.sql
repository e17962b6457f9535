-- Messages of all kinds, where they are kept and not sent: for development and tests.
create table control.captured_messages (
  -- The message's own id: the mail's, the notification's.
  id uuid primary key,
  tenant_id uuid references control.tenants on delete cascade,
  channel text not null check (channel in ('email', 'sms', 'push')),
  template text,
  recipient text not null,
  content jsonb not null,
  created_at timestamptz not null default now()
);
create index captured_messages_newest on control.captured_messages (channel, id);
create index captured_messages_tenant on control.captured_messages (tenant_id);
grant select, insert, update, delete on control.captured_messages to insulae_control;

insert into control.captured_messages (id, tenant_id, channel, template, recipient, content, created_at)
  select id, tenant_id, 'email', template, recipient, captured, created_at
  from control.mails
  where captured is not null;
drop index control.mails_captured;
alter table control.mails drop column captured;

-- down
alter table control.mails add column captured jsonb;
create index mails_captured on control.mails (id) where captured is not null;
update control.mails as mail
  set captured = message.content
  from control.captured_messages as message
  where message.id = mail.id;
drop table control.captured_messages;
