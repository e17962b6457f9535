-- Counted in what a tenant's plan allows: see docs/usage.md.
select app.counts_towards('documents', 'rows');

-- down
drop trigger documents_rows_insert on documents;
drop trigger documents_rows_delete on documents;
