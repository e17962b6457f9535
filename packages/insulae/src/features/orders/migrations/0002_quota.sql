-- Counted in what a tenant's plan allows: see docs/usage.md.
select app.counts_towards('orders', 'rows');

-- down
drop trigger orders_rows_insert on orders;
drop trigger orders_rows_delete on orders;
