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

-- down
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
