-- Counted in what a tenant's plan allows: see docs/usage.md.
select app.counts_towards('contacts', 'rows');

-- down
drop trigger contacts_rows_insert on contacts;
drop trigger contacts_rows_delete on contacts;
