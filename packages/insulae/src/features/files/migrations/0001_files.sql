-- What is known of files; their bytes are in the storage, under file_key.
create table files (
  id uuid primary key default app.uuid_v7(),
  -- Whose upload it was.
  user_id uuid,
  -- What people call it. It is in no path and no key.
  file_name varchar(255) not null,
  mime_type varchar(100) not null,
  -- What it takes of the tenant's quota: what was asked for, until the bytes are there.
  file_size bigint not null check (file_size >= 0),
  sha256 char(64),
  metadata jsonb not null default '{}',
  -- pending: room is kept, the bytes may come; ready: they are there; deleted: they are to be removed.
  status text not null default 'pending' check (status in ('pending', 'ready', 'deleted')),
  -- Until when the bytes of a pending one may come.
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index files_unsettled_idx on files (expires_at) where status <> 'ready';

select app.tenant_table('files');
select app.tenant_reference('files', 'user_id', 'users', 'set null');
select app.counts_towards('files', 'storage_bytes', 'file_size');

alter table files add column file_key varchar(500) not null
  generated always as (tenant_id::text || '/' || id::text) stored;

-- down
drop table files;
