create table notes (
  id uuid primary key default app.uuid_v7(),
  title text not null,
  text text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table comments (
  id uuid primary key default app.uuid_v7(),
  note_id uuid not null,
  text text not null,
  created_at timestamptz not null default now()
);

create index comments_note_id_idx on comments (note_id, id);

-- Makes them tenants' tables: a column tenant_id that leads all keys and indexes, and a policy that shows a
-- statement the rows of its tenant only.
select app.tenant_table('notes');
select app.tenant_table('comments');

-- A foreign key that can't refer to another tenant's row. A note's comments are deleted with it.
select app.tenant_reference('comments', 'note_id', 'notes', 'cascade');

-- down
drop table comments;
drop table notes;
