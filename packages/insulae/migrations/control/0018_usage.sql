-- What tenants use, a row a day (UTC) and metric. What is counted is added up by all nodes; what is
-- measured (users, rows, storage) is the day's last measurement.
create table control.usage_daily (
  tenant_id uuid not null references control.tenants on delete cascade,
  day date not null,
  metric text not null,
  amount bigint not null,
  primary key (tenant_id, day, metric)
);
create index usage_daily_day on control.usage_daily (day, metric);

-- The last batch of counts that each node has added: one that is sent again is not added again.
create table control.usage_flushes (
  node uuid primary key,
  sequence bigint not null,
  at timestamptz not null default now()
);

-- When each tenant was measured last.
create table control.usage_measured (
  tenant_id uuid primary key references control.tenants on delete cascade,
  at timestamptz not null
);

grant select, insert, update, delete on
  control.usage_daily, control.usage_flushes, control.usage_measured to insulae_control;

-- down
drop table control.usage_measured;
drop table control.usage_flushes;
drop table control.usage_daily;
