-- Who did what in the tenant. Entries are added, never changed; what makes them a chain is in
-- app.append_audit_entry().
create table audit_log (
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
create index on audit_log (action, seq);
create index on audit_log (actor_id, seq);
create index on audit_log (target_id, seq);

select app.tenant_table('audit_log', '{select}');

-- Neither number, time nor hash: those are the trigger's to give.
grant insert (
  action, outcome, actor_kind, actor_id, actor_name, impersonator, target_type, target_id, ip,
  user_agent, request_id, detail
) on audit_log to insulae_data;

create trigger audit_log_append before insert on audit_log
  for each row execute function app.append_audit_entry();

-- down
drop table audit_log;
