-- What every tenant table stands on. These functions are in each database that holds tenants' rows,
-- and in the control plane's. The schema itself and the ledger are made by the migrator.

-- The tenant on whose behalf the statement runs. Without one it is null, and null equals nothing:
-- no row is seen and none can be written. It is a plain SQL expression, so the planner puts it in
-- place of the call and uses it as an index condition, evaluated once a scan.
create function app.current_tenant_id() returns uuid
language sql stable parallel safe
return nullif(current_setting('app.current_tenant_id', true), '')::uuid;

-- Version 7 UUIDs (RFC 9562): made in the order of time, so new rows are neighbours in the index.
-- PostgreSQL 18 has them built in. Before it, the 12 bits after the milliseconds hold the fraction of
-- the millisecond (method 3 of section 6.2), the rest is gen_random_uuid()'s.
do $$
begin
  if current_setting('server_version_num')::integer >= 180000 then
    create function app.uuid_v7() returns uuid
    language sql volatile parallel safe
    return uuidv7();
  else
    create function app.uuid_v7() returns uuid
    language plpgsql volatile parallel safe as $body$
    declare
      microseconds bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    begin
      return (
        lpad(to_hex(microseconds / 1000), 12, '0')
        || '7' || lpad(to_hex((microseconds % 1000) * 4096 / 1000), 3, '0')
        || right(replace(gen_random_uuid()::text, '-', ''), 16)
      )::uuid;
    end $body$;
  end if;
end $$;

-- The trigger that keeps updated_at.
create function app.touch() returns trigger
language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end $$;

revoke execute on all functions in schema app from public;
grant usage on schema app to insulae_data, insulae_control;
grant execute on function app.current_tenant_id(), app.uuid_v7() to insulae_data, insulae_control;

-- down
drop function app.touch();
drop function app.uuid_v7();
drop function app.current_tenant_id();
revoke usage on schema app from insulae_data, insulae_control;
