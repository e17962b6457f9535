-- Which client certificates (mTLS) are which tenants': single ones, and authorities that issue them.
create table control.client_certificates (
  id uuid primary key default app.uuid_v7(),
  tenant_id uuid not null references control.tenants on delete cascade,
  name text not null,
  kind text not null check (kind in ('certificate', 'authority')),
  -- SHA-256 of the certificate itself.
  fingerprint text not null,
  -- PEM. It is public.
  certificate text not null,
  subject text not null,
  -- What the subject of a certificate that the authority issued must have, `O=Acme`.
  required_subject text[] not null default '{}',
  -- As whom the certificate's holder acts, and with which of that user's permissions; without
  -- scopes a certificate names its tenant and nothing else.
  user_id uuid,
  scopes text[] not null default '{}',
  not_before timestamptz not null,
  not_after timestamptz not null,
  created_at timestamptz not null default now(),
  -- Not unique among tenants: a certificate is no secret, and whoever knows one must not be able to
  -- keep its owner from registering it.
  unique (tenant_id, fingerprint)
);
create index client_certificates_fingerprint on control.client_certificates (fingerprint);
create index client_certificates_authority on control.client_certificates (subject)
  where kind = 'authority';

create function control.announce_client_certificate() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'client_certificate:' || coalesce(new.id, old.id));
  return null;
end $$;

create trigger client_certificates_announce
  after insert or update or delete on control.client_certificates
  for each row execute function control.announce_client_certificate();

grant select, insert, update, delete on control.client_certificates to insulae_control;

-- down
drop table control.client_certificates;
drop function control.announce_client_certificate();
