-- Counted in what a tenant's plan allows, however somebody becomes a user: see docs/usage.md.
select app.counts_towards('users', 'users');

-- down
drop trigger users_users_insert on users;
drop trigger users_users_delete on users;
