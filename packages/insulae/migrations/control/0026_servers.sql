-- Every node hears that a server has another URL, or is gone, and connects anew.
create function control.announce_server() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'server:' || old.id);
  return null;
end $$;

create trigger servers_announce after update of sealed_url or delete on control.servers
  for each row execute function control.announce_server();

-- Who is on a server, and whether anybody is on a placement.
create index if not exists tenants_placement_id on control.tenants (placement_id);

-- down
drop index control.tenants_placement_id;
drop trigger servers_announce on control.servers;
drop function control.announce_server();
