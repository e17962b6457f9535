-- Lists and searches of platform administrators, which read what they show and not all that there is.

-- Tenants by status, in each order. Those that are erased have no placement and are in no list.
create index tenants_by_id on control.tenants (status, id) where placement_id is not null;
create index tenants_by_key on control.tenants (status, key collate "C", id)
  where placement_id is not null;
create index tenants_by_name on control.tenants (status, (lower(name) collate "C"), id)
  where placement_id is not null;
create index tenants_by_plan on control.tenants (status, plan, id) where placement_id is not null;
create index tenants_by_plan_and_key on control.tenants (status, plan, key collate "C", id)
  where placement_id is not null;
create index tenants_by_plan_and_name on control.tenants
  (status, plan, (lower(name) collate "C"), id) where placement_id is not null;
create index hosts_by_name on control.hosts (hostname collate "C");

-- Accounts.
create index accounts_by_email on control.accounts (email collate "C");
create index accounts_by_first_name on control.accounts ((lower(first_name) collate "C"));
create index accounts_by_last_name on control.accounts ((lower(last_name) collate "C"));
create index accounts_inactive on control.accounts (id) where not is_active;

-- What begins with a text, in lower case: at most so many by each column. They walk the indexes in their order and stop;
-- a planner that doesn't know the text would read all matches and sort them.
create function control.tenants_beginning_with(prefix text, wanted text, most integer)
returns uuid[]
language sql stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
  select array(
    (select id from control.tenants
     where status = wanted and placement_id is not null
       and key collate "C" >= prefix and key collate "C" < prefix || chr(1114111)
     order by key collate "C", id limit most)
    union all
    (select id from control.tenants
     where status = wanted and placement_id is not null
       and lower(name) collate "C" >= prefix and lower(name) collate "C" < prefix || chr(1114111)
     order by lower(name) collate "C", id limit most)
    union all
    (select tenant_id from control.hosts
     where hostname collate "C" >= prefix and hostname collate "C" < prefix || chr(1114111)
     order by hostname collate "C" limit most))
$$;

create function control.accounts_beginning_with(prefix text, most integer)
returns uuid[]
language sql stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
  select array(
    (select id from control.accounts
     where email collate "C" >= prefix and email collate "C" < prefix || chr(1114111)
     order by email collate "C" limit most)
    union all
    (select id from control.accounts
     where lower(first_name) collate "C" >= prefix
       and lower(first_name) collate "C" < prefix || chr(1114111)
     order by lower(first_name) collate "C" limit most)
    union all
    (select id from control.accounts
     where lower(last_name) collate "C" >= prefix
       and lower(last_name) collate "C" < prefix || chr(1114111)
     order by lower(last_name) collate "C" limit most))
$$;

-- down
drop function control.accounts_beginning_with(text, integer);
drop function control.tenants_beginning_with(text, text, integer);
drop index control.accounts_inactive;
drop index control.accounts_by_last_name;
drop index control.accounts_by_first_name;
drop index control.accounts_by_email;
drop index control.hosts_by_name;
drop index control.tenants_by_plan_and_name;
drop index control.tenants_by_plan_and_key;
drop index control.tenants_by_plan;
drop index control.tenants_by_name;
drop index control.tenants_by_key;
drop index control.tenants_by_id;
