-- What handlers keep in the sessions of the tenant's users and visitors.
create table session_data (
  id text primary key,
  -- Another one with each change: who saves says which one they have read.
  revision uuid not null,
  -- Encrypted for this tenant and this session.
  sealed text not null,
  expires_at timestamptz not null
);
create index session_data_expires_at_idx on session_data (expires_at);

select app.tenant_table('session_data');

-- down
drop table session_data;
