-- Outside OpenID Connect providers by which the tenant's users may sign in.
create table identity_providers (
  id uuid primary key default app.uuid_v7(),
  name text not null,
  issuer text not null,
  client_id text not null,
  sealed_secret text not null,
  scopes text[] not null,
  -- Whose people may sign in; empty: anybody with a verified e-mail.
  allowed_domains text[] not null default '{}',
  -- Whether the provider is believed about e-mails in those domains without saying email_verified.
  trust_email boolean not null default false,
  create_users boolean not null default false,
  default_role text not null default 'user',
  role_mapping jsonb,
  update_roles boolean not null default false,
  trust_second_factor boolean not null default false,
  second_factor_acr text[] not null default '{}',
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint identity_providers_role_check
    check (default_role in ('admin', 'manager', 'user', 'viewer')),
  constraint identity_providers_trust_check check (not trust_email or allowed_domains <> '{}')
);

-- Who a user is at a provider: its subject is for ever, an e-mail is not.
create table identities (
  id uuid primary key default app.uuid_v7(),
  user_id uuid not null,
  issuer text not null,
  subject text not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  constraint identities_subject_key unique (issuer, subject),
  -- An address that was given to somebody else at the provider is not the same person.
  constraint identities_user_key unique (user_id, issuer)
);

select app.tenant_table('identity_providers');
select app.tenant_table('identities');
select app.tenant_reference('identities', 'user_id', 'users', 'cascade');

-- down
drop table identities;
drop table identity_providers;
