-- All that a product is found by, in one text, so that one index finds it. See app.searchable.
alter table products add column search text not null generated always as (
  lower(name || e'\n' || coalesce(sku, '') || e'\n' || coalesce(description, ''))
) stored;

create index products_search_idx on products using gin (tenant_id, search app.gin_trgm_ops);

select app.searchable('products',
  'search like app.search_pattern() or search operator(app.%>) app.search_similar()');

-- down
alter table products no inherit products_search;
drop table products_search;
alter table products drop column search;
