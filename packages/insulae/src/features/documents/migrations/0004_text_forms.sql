-- What is searched is normalised: see app.search_text.
alter table documents no inherit documents_search;
drop table documents_search;
alter table documents drop column search;
alter table documents add column search tsvector not null generated always as (app.search_vector(title, content)) stored;
create index documents_search_idx on documents using gin (tenant_id, search);
select app.searchable('documents', 'search @@ app.search_query()');

-- down
alter table documents no inherit documents_search;
drop table documents_search;
alter table documents drop column search;
alter table documents add column search tsvector not null generated always as (
  setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', content), 'B')
) stored;
create index documents_search_idx on documents using gin (tenant_id, search);
select app.searchable('documents', 'search @@ app.search_query()');
