-- What is searched is normalised: see app.search_text.
alter table users no inherit users_search;
drop table users_search;
alter table users drop column search;
alter table users add column search text not null generated always as (
  app.search_text(email || e'\n' || coalesce(username, '') || e'\n' || first_name || ' ' || last_name)
) stored;
create index users_search_idx on users using gin (tenant_id, search app.gin_trgm_ops);
select app.searchable('users', 'search like app.search_pattern() or search operator(app.%>) app.search_similar()');

-- down
alter table users no inherit users_search;
drop table users_search;
alter table users drop column search;
alter table users add column search text not null generated always as (
  lower(email || e'\n' || coalesce(username, '') || e'\n' || first_name || ' ' || last_name)
) stored;
create index users_search_idx on users using gin (tenant_id, search app.gin_trgm_ops);
select app.searchable('users', 'search like app.search_pattern() or search operator(app.%>) app.search_similar()');
