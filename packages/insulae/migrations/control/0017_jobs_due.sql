-- When the next job is due, and which workers are gone.
create index jobs_due on pgboss.job_common (start_after) where state < 'active' and not blocked;
create index jobs_active on pgboss.job_common (heartbeat_on) where state = 'active';

-- down
drop index pgboss.jobs_active;
drop index pgboss.jobs_due;
