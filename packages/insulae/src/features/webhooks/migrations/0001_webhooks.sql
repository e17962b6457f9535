-- The addresses at which a tenant wants to hear of events.
create table webhooks (
  id uuid primary key default app.uuid_v7(),
  url text not null,
  -- Names of events, or '*' for all.
  events text[] not null,
  description text,
  enabled boolean not null default true,
  -- Why the server switched it off; null where a person did.
  disabled_reason text,
  sealed_secret text not null,
  -- The secret before, which signs too until then.
  previous_sealed_secret text,
  previous_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint webhooks_disabled_check check (not enabled or disabled_reason is null)
);

-- How it goes with each of them. Apart from what people edit, so that a delivery is no change of that.
create table webhook_states (
  webhook_id uuid primary key,
  -- Failed attempts in a row, and since when.
  failures integer not null default 0,
  failing_since timestamptz,
  -- Nothing is sent before; whoever sets it sends a job for that time.
  rests_until timestamptz,
  -- The job that is delivering to it, and how long that is believed.
  pass_by uuid,
  pass_until timestamptz
);

-- What has happened, as it is sent. There are only those that somebody wanted.
create table webhook_events (
  id uuid primary key default app.uuid_v7(),
  name text not null,
  payload text not null,
  created_at timestamptz not null default now()
);
create index webhook_events_created_idx on webhook_events (created_at);

create table webhook_deliveries (
  id uuid primary key default app.uuid_v7(),
  webhook_id uuid not null,
  event_id uuid not null,
  state text not null default 'waiting',
  attempts integer not null default 0,
  -- When the next attempt is due.
  due_at timestamptz not null default now(),
  -- The last attempt: when, and the answer's status and first kilobyte, or why there was none.
  tried_at timestamptz,
  response_status integer,
  response_excerpt text,
  reason text,
  created_at timestamptz not null default now(),
  constraint webhook_deliveries_state_check check (state in ('waiting', 'delivered', 'failed'))
);

select app.tenant_table('webhooks');
select app.tenant_table('webhook_states');
select app.tenant_table('webhook_events');
select app.tenant_table('webhook_deliveries');
select app.tenant_reference('webhook_states', 'webhook_id', 'webhooks', 'cascade');
select app.tenant_reference('webhook_deliveries', 'webhook_id', 'webhooks', 'cascade');
select app.tenant_reference('webhook_deliveries', 'event_id', 'webhook_events', 'cascade');

create index webhook_deliveries_list_idx on webhook_deliveries (tenant_id, webhook_id, id);
create index webhook_deliveries_due_idx on webhook_deliveries (tenant_id, webhook_id, due_at)
  where state = 'waiting';

-- down
drop table webhook_deliveries;
drop table webhook_events;
drop table webhook_states;
drop table webhooks;
