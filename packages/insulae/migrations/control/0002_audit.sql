-- The platform's audit log becomes a chain, of the same form as those of the tenants.
alter table control.audit_log rename to audit_log_before;
drop index control.audit_log_at;
alter table control.audit_log_before rename constraint audit_log_pkey to audit_log_before_pkey;

create table control.audit_log (
  seq bigint not null,
  id uuid not null default app.uuid_v7(),
  at timestamptz not null,
  action text not null,
  outcome text not null check (outcome in ('succeeded', 'failed', 'refused')),
  actor_kind text not null
    check (actor_kind in ('user', 'account', 'api_key', 'system', 'anonymous')),
  actor_id text,
  -- The e-mail or name, as it was then.
  actor_name text,
  -- The account of whoever acted as the actor.
  impersonator text,
  target_type text,
  target_id text,
  ip text,
  user_agent text,
  request_id text,
  detail jsonb not null,
  previous_hash text,
  hash text not null,
  primary key (seq)
);
create index audit_log_action on control.audit_log (action, seq);
create index audit_log_actor on control.audit_log (actor_id, seq);
create index audit_log_target on control.audit_log (target_id, seq);
create index audit_log_at on control.audit_log (at);

create trigger audit_log_append before insert on control.audit_log
  for each row execute function app.append_audit_entry('platform');

insert into control.audit_log
  (id, at, action, outcome, actor_kind, actor_id, target_type, target_id, request_id, detail)
select
  id, at,
  case action
    when 'cross_tenant_attempt' then 'auth.cross_tenant_refused'
    when 'platform_scope' then 'platform.scope_entered'
    else action
  end,
  case action when 'cross_tenant_attempt' then 'refused' else 'succeeded' end,
  case when actor is null then 'system' else 'user' end,
  actor,
  case when tenant_id is null then null else 'tenant' end,
  tenant_id::text, request_id, detail
from control.audit_log_before
order by at, id;
drop table control.audit_log_before;

grant select on control.audit_log to insulae_control;
grant insert (
  action, outcome, actor_kind, actor_id, actor_name, impersonator, target_type, target_id, ip,
  user_agent, request_id, detail
) on control.audit_log to insulae_control;

-- down
alter table control.audit_log rename to audit_log_after;
drop index control.audit_log_at;
create table control.audit_log (
  id uuid primary key default app.uuid_v7(),
  at timestamptz not null default now(),
  action text not null,
  tenant_id uuid,
  actor text,
  request_id text,
  detail jsonb not null default '{}'
);
create index audit_log_at on control.audit_log (at);
insert into control.audit_log (id, at, action, tenant_id, actor, request_id, detail)
select
  id, at, action,
  case when target_type = 'tenant' then target_id::uuid end,
  coalesce(actor_name, actor_id), request_id, detail
from control.audit_log_after;
drop table control.audit_log_after;
grant select, insert on control.audit_log to insulae_control;
