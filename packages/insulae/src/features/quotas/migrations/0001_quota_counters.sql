-- How much of a quota is used: what the triggers of app.counts_towards keep.
create table quota_counters (
  name text primary key,
  used bigint not null,
  -- What stands: since when the tenant is as it was when it was counted. A day's: which day.
  basis text,
  day date
) with (fillfactor = 50);

select app.tenant_table('quota_counters');

-- down
drop table quota_counters;
