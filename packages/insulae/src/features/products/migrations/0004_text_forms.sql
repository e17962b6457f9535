-- What is searched is normalised: see app.search_text.
alter table products no inherit products_search;
drop table products_search;
alter table products drop column search;
alter table products add column search text not null generated always as (
  app.search_text(name || e'\n' || coalesce(sku, '') || e'\n' || coalesce(description, ''))
) stored;
create index products_search_idx on products using gin (tenant_id, search app.gin_trgm_ops);
select app.searchable('products', 'search like app.search_pattern() or search operator(app.%>) app.search_similar()');

-- A page by name walks this index.
drop index products_name_idx;
create index products_name_idx on products (tenant_id, app.sort_key(name), id);

-- down
drop index products_name_idx;
create index products_name_idx on products (tenant_id, lower(name), id);
alter table products no inherit products_search;
drop table products_search;
alter table products drop column search;
alter table products add column search text not null generated always as (
  lower(name || e'\n' || coalesce(sku, '') || e'\n' || coalesce(description, ''))
) stored;
create index products_search_idx on products using gin (tenant_id, search app.gin_trgm_ops);
select app.searchable('products', 'search like app.search_pattern() or search operator(app.%>) app.search_similar()');
