-- What is set for one host alone, and for which tenant a host waits that was registered before it.
alter table control.hosts
  add column settings jsonb not null default '{}',
  -- The key of a tenant that is yet to come: no other gets the host.
  add column waits_for text,
  add constraint hosts_waits_for check (tenant_id is null or waits_for is null);

-- down
alter table control.hosts drop column waits_for, drop column settings;
