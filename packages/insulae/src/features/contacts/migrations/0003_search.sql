-- All that a contact is found by, in one text, so that one index finds it. See app.searchable.
alter table contacts add column search text not null generated always as (
  lower(name || e'\n' || coalesce(email, '') || e'\n' || coalesce(phone, '') || e'\n'
    || coalesce(company, ''))
) stored;

create index contacts_search_idx on contacts using gin (tenant_id, search app.gin_trgm_ops);

select app.searchable('contacts',
  'search like app.search_pattern() or search operator(app.%>) app.search_similar()');

-- down
alter table contacts no inherit contacts_search;
drop table contacts_search;
alter table contacts drop column search;
