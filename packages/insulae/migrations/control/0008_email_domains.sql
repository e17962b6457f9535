-- E-mail domains whose people may join a tenant. Several tenants may have proven one: a company may
-- have several tenants.
create table control.email_domains (
  tenant_id uuid not null references control.tenants on delete cascade,
  domain text not null,
  -- What the tenant publishes in a TXT record.
  token text not null,
  -- What those who join become.
  role text not null default 'user' check (role in ('user', 'viewer')),
  created_at timestamptz not null default now(),
  -- When the record was last seen.
  proven_at timestamptz,
  primary key (tenant_id, domain)
);
create index email_domains_domain on control.email_domains (domain) where proven_at is not null;

grant select, insert, update, delete on control.email_domains to insulae_control;

-- down
drop table control.email_domains;
