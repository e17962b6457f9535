create table products (
  id uuid primary key default app.uuid_v7(),
  name text not null,
  sku text,
  description text,
  price numeric(12, 2) not null,
  currency text not null default 'EUR',
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint products_sku_key unique (sku),
  constraint products_price_check check (price >= 0),
  constraint products_currency_check check (currency ~ '^[A-Z]{3}$')
);

create index products_name_idx on products (lower(name), id);

select app.tenant_table('products');

-- down
drop table products;
