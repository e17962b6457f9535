-- Jobs that were sent in a transaction, until they have been passed on to the queue.
create table outbox (
  id uuid primary key,
  job text not null,
  data jsonb not null,
  key text,
  start_after timestamptz,
  created_at timestamptz not null default now()
);

select app.tenant_table('outbox', '{select,insert,delete}');

-- down
drop table outbox;
