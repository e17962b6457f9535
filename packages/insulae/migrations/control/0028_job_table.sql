-- The queue of jobs: one table of ours, with what the statements of kernel/jobs/queue.ts need and no more.
-- Until now it was the table of pg-boss, a library of which four calls were used.

-- A process of an earlier version waits here, and then has an error for each statement: it loses no job
-- silently. Jobs that it runs are taken over when their leases expire. In the order in which a writer locks
-- them, the partition before its parent; otherwise they could deadlock.
lock table pgboss.job_common, pgboss.job, pgboss.queue in access exclusive mode;

create table control.jobs (
  id uuid not null,
  -- The tenant's id, or 'platform'.
  queue text not null,
  job text not null,
  data jsonb not null,
  -- Below 0: a background job.
  priority int not null default 0,
  -- Until its first attempt the only one of its queue and job with this key.
  key text,
  -- held: until due_at. parked: it failed for good, and waits for somebody to look at it.
  state text not null default 'ready'
    check (state in ('held', 'ready', 'running', 'completed', 'parked')),
  due_at timestamptz not null default now(),
  -- With the running one. Tells a late finisher that it has lost the job.
  attempts int not null default 0,
  -- It is parked if it fails when it has had more attempts than this.
  retries int not null default 5,
  backoff_seconds int not null default 15,
  leased_until timestamptz,
  progress float8,
  result jsonb,
  error text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  primary key (queue, id)
);

insert into control.jobs (
  id, queue, job, data, priority, key, state, due_at, attempts, retries, backoff_seconds,
  leased_until, progress, result, error, created_at, started_at, finished_at)
select id, name, name_of_job, coalesce(data->'data', 'null'), priority,
  -- A job without a key had its id for one.
  case when state = 'created' and starts_with(singleton_key, name_of_job || ':')
    then substr(singleton_key, length(name_of_job) + 2) end,
  case
    when state < 'active' and start_after > now() then 'held'
    when state < 'active' then 'ready'
    when state = 'active' then 'running'
    when state = 'completed' then 'completed'
    else 'parked'
  end,
  start_after, retry_count + case when started_on is null then 0 else 1 end, retry_limit,
  retry_delay,
  case when state = 'active'
    then coalesce(heartbeat_on, started_on, now()) + interval '30 seconds' end,
  (output->>'progress')::float8, case when state = 'completed' then output->'result' end,
  output->>'error', created_on, started_on,
  case when state > 'active' then coalesce(completed_on, now()) end
from pgboss.job_common
cross join lateral coalesce(data->>'job', 'unknown') as name_of_job;

-- For whoever looks for a queue with work, and then takes its first job.
create index jobs_ready on control.jobs (queue, priority desc, created_at)
  where state = 'ready' and priority >= 0;
create index jobs_ready_background on control.jobs (queue, priority desc, created_at)
  where state = 'ready' and priority < 0;
create index jobs_held on control.jobs (due_at) where state = 'held';
create index jobs_running on control.jobs (leased_until) where state = 'running';
create index jobs_over on control.jobs (state, finished_at) where state in ('completed', 'parked');
create unique index jobs_key on control.jobs (queue, job, key) where key is not null;

grant select, insert, update, delete on control.jobs to insulae_control;

-- Every node hears of new jobs.
create trigger jobs_announce after insert on control.jobs
  for each statement execute function control.announce_job();

-- A tenant's queue has the tenant's id for a name, and goes with it.
create or replace function control.erase_jobs() returns trigger language plpgsql as $$
begin
  delete from control.jobs where queue = old.id::text;
  return null;
end $$;

drop schema pgboss cascade;
drop function control.hold_job();

-- down
-- Nothing takes it back: an earlier version needs a backup from before.
