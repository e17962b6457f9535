-- What a tenant's messages say. One with the name of a mail that the system sends takes its place.
create table notification_templates (
  id uuid primary key default app.uuid_v7(),
  name text not null,
  type text not null check (type in ('email', 'sms', 'push')),
  subject text,
  body text not null,
  html text,
  variables jsonb not null default '{}',
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint notification_templates_name_key unique (name)
);

-- The log of what was to be sent, and what became of it.
create table notifications (
  id uuid primary key default app.uuid_v7(),
  type text not null check (type in ('email', 'sms', 'push')),
  recipient text not null,
  -- Whom it is for, where it was sent to a user.
  user_id uuid,
  template_name text,
  subject text,
  priority text not null check (priority in ('low', 'normal', 'high', 'critical')),
  status text not null default 'queued'
    check (status in ('queued', 'sent', 'failed', 'suppressed')),
  -- What it says; forgotten once it is sent.
  content jsonb,
  -- Of a user's browsers, those that have it.
  delivered uuid[] not null default '{}',
  attempts integer not null default 0,
  error_message text,
  sent_at timestamptz,
  created_at timestamptz not null default now()
);
create index notifications_recipient_idx on notifications (recipient, id);
create index notifications_status_idx on notifications (status, id);
create index notifications_user_id_idx on notifications (user_id);

-- Addresses that are not written to.
create table notification_suppressions (
  id uuid primary key default app.uuid_v7(),
  type text not null check (type in ('email', 'sms', 'push')),
  recipient text not null,
  reason text not null check (reason in ('bounced', 'complained', 'unsubscribed', 'manual')),
  detail text,
  created_at timestamptz not null default now(),
  constraint notification_suppressions_recipient_key unique (type, recipient)
);

-- Users' browsers that are pushed to.
create table push_subscriptions (
  id uuid primary key default app.uuid_v7(),
  user_id uuid not null,
  endpoint text not null,
  p256dh text not null,
  auth text not null,
  created_at timestamptz not null default now(),
  constraint push_subscriptions_endpoint_key unique (endpoint)
);
create index push_subscriptions_user_id_idx on push_subscriptions (user_id);

select app.tenant_table('notification_templates');
select app.tenant_table('notifications');
select app.tenant_table('notification_suppressions');
select app.tenant_table('push_subscriptions');
select app.tenant_reference('notifications', 'user_id', 'users', 'set null');
select app.tenant_reference('push_subscriptions', 'user_id', 'users', 'cascade');

-- down
drop table push_subscriptions;
drop table notification_suppressions;
drop table notifications;
drop table notification_templates;
