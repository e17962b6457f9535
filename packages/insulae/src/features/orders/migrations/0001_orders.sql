create table orders (
  id uuid primary key default app.uuid_v7(),
  number bigint not null,
  user_id uuid,
  status text not null default 'draft',
  currency text not null,
  total numeric(18, 2) not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint orders_number_key unique (number),
  constraint orders_status_check
    check (status in ('draft', 'placed', 'paid', 'shipped', 'cancelled'))
);

create index orders_status_idx on orders (status, id);
create index orders_user_id_idx on orders (user_id, id);

create table order_lines (
  order_id uuid not null,
  position integer not null,
  product_id uuid not null,
  quantity integer not null,
  unit_price numeric(12, 2) not null,
  line_total numeric(16, 2) not null,
  primary key (order_id, position),
  constraint order_lines_quantity_check check (quantity between 1 and 10000),
  constraint order_lines_total_check check (line_total = unit_price * quantity)
);

create index order_lines_product_id_idx on order_lines (product_id);

-- One row a tenant: the last number given. It is raised in the statement that inserts the order, so
-- that numbers are 1, 2, 3 … without gaps, in every placement, however many orders come at once.
create table order_counters (
  id smallint primary key default 1,
  last_number bigint not null,
  constraint order_counters_one_row check (id = 1)
);

select app.tenant_table('orders');
select app.tenant_table('order_lines');
select app.tenant_table('order_counters');

select app.tenant_reference('orders', 'user_id', 'users', 'set null');
select app.tenant_reference('order_lines', 'order_id', 'orders', 'cascade');
select app.tenant_reference('order_lines', 'product_id', 'products', 'restrict');

-- down
drop table order_lines;
drop table orders;
drop table order_counters;
