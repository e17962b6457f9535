create table invoices (
  id uuid primary key default app.uuid_v7(),
  number text not null,
  customer text not null,
  total numeric(12, 2) not null check (total >= 0),
  paid_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint invoices_number_key unique (number)
);

select app.tenant_table('invoices');

-- down
drop table invoices;
