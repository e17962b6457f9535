-- Words are separated by more marks: see app.search_words, which is another function now.
alter table documents no inherit documents_search;
drop table documents_search;
alter table documents drop column search;
alter table documents add column search tsvector not null generated always as (app.search_vector(title, content)) stored;
create index documents_search_idx on documents using gin (tenant_id, search);
select app.searchable('documents', 'search @@ app.search_query()');

-- down
-- Nothing to take back: the functions stay as they are, and with them the column.
