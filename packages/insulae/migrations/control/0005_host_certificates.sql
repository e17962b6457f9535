-- Certificates of hosts, for the server that ends TLS itself, and hosts that tenants prove themselves.

create table control.host_certificates (
  hostname text primary key references control.hosts on delete cascade on update cascade,
  -- PEM, with the chain.
  certificate text not null,
  -- The private key, sealed with a key derived from the master secret and the host's name.
  sealed_key text not null,
  fingerprint text not null,
  not_after timestamptz not null,
  created_at timestamptz not null default now()
);
create index host_certificates_not_after on control.host_certificates (not_after);

create function control.announce_host_certificate() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'host_certificate:' || coalesce(new.hostname, old.hostname));
  return null;
end $$;

create trigger host_certificates_announce
  after insert or update or delete on control.host_certificates
  for each row execute function control.announce_host_certificate();

-- What a tenant says is its host, until the DNS says so too. Somebody else's claim is no obstacle.
create table control.host_claims (
  tenant_id uuid not null references control.tenants on delete cascade,
  hostname text not null,
  -- What the tenant publishes in a TXT record.
  token text not null,
  created_at timestamptz not null default now(),
  -- When the record was last seen.
  proven_at timestamptz,
  primary key (tenant_id, hostname)
);
create index host_claims_hostname on control.host_claims (hostname);

grant select, insert, update, delete on control.host_certificates, control.host_claims
  to insulae_control;

-- down
drop table control.host_claims;
drop table control.host_certificates;
drop function control.announce_host_certificate();
