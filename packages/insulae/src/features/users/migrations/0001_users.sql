create table users (
  id uuid primary key default app.uuid_v7(),
  -- In its canonical form (kernel/auth/email.ts), so that equality is all that is needed.
  email text not null,
  username text,
  password_hash text,
  -- The account that the user is linked to: then the account's password is the user's.
  account_id uuid,
  first_name text not null default '',
  last_name text not null default '',
  role text not null default 'user',
  is_active boolean not null default true,
  email_verified boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint users_email_key unique (email),
  constraint users_username_key unique (username),
  constraint users_account_id_key unique (account_id),
  constraint users_role_check check (role in ('owner', 'admin', 'manager', 'user', 'viewer')),
  -- Whoever could set a linked user's password in one tenant could become the account elsewhere.
  constraint users_one_password_check check (password_hash is null or account_id is null)
);

-- The owners are counted whenever one of them goes.
create index users_owners_idx on users (id) where role = 'owner' and is_active;

select app.tenant_table('users');

-- down
drop table users;
