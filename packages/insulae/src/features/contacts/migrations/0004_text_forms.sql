-- What is searched is normalised: see app.search_text.
alter table contacts no inherit contacts_search;
drop table contacts_search;
alter table contacts drop column search;
alter table contacts add column search text not null generated always as (
  app.search_text(name || e'\n' || coalesce(email, '') || e'\n' || coalesce(phone, '') || e'\n'
    || coalesce(company, ''))
) stored;
create index contacts_search_idx on contacts using gin (tenant_id, search app.gin_trgm_ops);
select app.searchable('contacts', 'search like app.search_pattern() or search operator(app.%>) app.search_similar()');

-- A page by name walks this index.
drop index contacts_name_idx;
create index contacts_name_idx on contacts (tenant_id, app.sort_key(name), id);

-- down
drop index contacts_name_idx;
create index contacts_name_idx on contacts (tenant_id, lower(name), id);
alter table contacts no inherit contacts_search;
drop table contacts_search;
alter table contacts drop column search;
alter table contacts add column search text not null generated always as (
  lower(name || e'\n' || coalesce(email, '') || e'\n' || coalesce(phone, '') || e'\n'
    || coalesce(company, ''))
) stored;
create index contacts_search_idx on contacts using gin (tenant_id, search app.gin_trgm_ops);
select app.searchable('contacts', 'search like app.search_pattern() or search operator(app.%>) app.search_similar()');
