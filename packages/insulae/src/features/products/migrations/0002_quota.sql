-- Counted in what a tenant's plan allows: see docs/usage.md.
select app.counts_towards('products', 'rows');

-- down
drop trigger products_rows_insert on products;
drop trigger products_rows_delete on products;
