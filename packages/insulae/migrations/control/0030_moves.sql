-- Moves of tenants from one placement to another: docs/moves.md. Placements are named without a
-- reference, because a move is listed for longer than its source exists.
create table control.moves (
  id uuid primary key default app.uuid_v7(),
  tenant_id uuid not null references control.tenants (id),
  kind text not null check (kind in ('move', 'restore', 'revert')),
  state text not null default 'planned' check (state in (
    'planned', 'capturing', 'copying', 'following', 'closing', 'switched', 'kept',
    'clearing', 'undoing', 'done', 'aborted')),
  -- Incremented by each holder; an earlier one can change nothing any more.
  epoch integer not null default 0,
  holder uuid,
  -- Until then nobody else takes the move.
  lease_until timestamptz,
  attempts integer not null default 0,
  abort_wanted boolean not null default false,
  from_placement uuid not null,
  to_placement uuid,
  source jsonb not null,
  target jsonb not null,
  keep_seconds integer not null,
  keep_until timestamptz,
  progress jsonb not null default '{}',
  report jsonb not null default '{}',
  error text,
  created_at timestamptz not null default now(),
  state_at timestamptz not null default now()
);
create unique index moves_one_at_a_time on control.moves (tenant_id)
  where state not in ('done', 'aborted');
create index moves_of_tenant on control.moves (tenant_id, id);

-- Every node hears of it: one of them begins, and all look at the tenant anew.
create function control.announce_move() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'tenant:' || new.tenant_id);
  return null;
end $$;
create trigger moves_announce after insert on control.moves
  for each row execute function control.announce_move();
create trigger moves_announce_state after update of state on control.moves
  for each row when (old.state <> new.state) execute function control.announce_move();

-- Cached with the tenant, and announced like any change of it.
alter table control.tenants add column moving text check (moving in ('following', 'closing'));

grant select, insert, update, delete on control.moves to insulae_control;

-- down
alter table control.tenants drop column moving;
drop table control.moves;
drop function control.announce_move();
