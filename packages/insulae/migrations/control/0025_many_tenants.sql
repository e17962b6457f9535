-- What is done periodically reads what is due, not all that there is.

-- Jobs: those whose time has not come are held (pg-boss's `blocked`), so that looking for a queue with something
-- to do reads none of them; `release` in kernel/jobs/queue.ts lets them go. Background jobs, whose priority is below
-- 0, are looked for where nothing else waits.
create function control.hold_job() returns trigger language plpgsql as $$
begin
  new.blocked := true;
  return new;
end $$;

create trigger jobs_hold before insert on pgboss.job_common
  for each row when (new.state < 'active' and new.start_after > now())
  execute function control.hold_job();
update pgboss.job_common set blocked = true where state < 'active' and start_after > now();

drop index pgboss.jobs_due;
create index jobs_held on pgboss.job_common (start_after) where state < 'active' and blocked;
create index jobs_ready on pgboss.job_common (name)
  where state < 'active' and not blocked and priority >= 0;
create index jobs_ready_background on pgboss.job_common (name)
  where state < 'active' and not blocked and priority < 0;
create index jobs_over on pgboss.job_common (state, completed_on) where state > 'active';

-- Usage: whoever has done something since they were measured last is to be measured again.
alter table control.usage_measured add column wanted boolean not null default true;
alter table control.usage_measured alter wanted set default false;
create index usage_measured_wanted on control.usage_measured (at) where wanted;

-- Also whoever has not done anything yet.
create function control.want_measurement() returns trigger language plpgsql as $$
begin
  insert into control.usage_measured (tenant_id, at, wanted) values (new.id, '-infinity', true)
  on conflict (tenant_id) do update set wanted = true;
  return null;
end $$;
create trigger tenants_want_measurement after update of status on control.tenants
  for each row when (new.status = 'active' and old.status <> 'active')
  execute function control.want_measurement();

-- Who was here today.
create index sessions_last_used on control.sessions (last_used_at) where tenant_id is not null;

-- Asked for at each start.
create index accounts_platform_admins on control.accounts (id) where platform_admin;

-- Tenants: whom an account owns, who is to be erased, whose creation was cut short.
create index tenants_owner on control.tenants (owner_account_id) where owner_account_id is not null;
create index tenants_erase_after on control.tenants (erase_after) where erase_after is not null;
create index tenants_provisioning on control.tenants (created_at) where status = 'provisioning';

-- down
drop index control.tenants_provisioning;
drop index control.tenants_erase_after;
drop index control.tenants_owner;
drop index control.accounts_platform_admins;
drop index control.sessions_last_used;
drop trigger tenants_want_measurement on control.tenants;
drop function control.want_measurement();
drop index control.usage_measured_wanted;
alter table control.usage_measured drop column wanted;
drop index pgboss.jobs_over;
drop index pgboss.jobs_ready_background;
drop index pgboss.jobs_ready;
drop index pgboss.jobs_held;
drop trigger jobs_hold on pgboss.job_common;
drop function control.hold_job();
update pgboss.job_common set blocked = false where blocked;
create index jobs_due on pgboss.job_common (start_after) where state < 'active' and not blocked;
