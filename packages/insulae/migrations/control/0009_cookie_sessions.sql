-- Sign-ins that a browser shows by a cookie (kind 'cookie').
alter table control.sessions
  -- Of the cookie's secret. A cookie is not refreshed, and has no refresh_hash.
  add column cookie_hash bytea,
  -- Use prolongs the session, but not beyond this.
  add column prolonged_until timestamptz;
create unique index sessions_cookie on control.sessions (cookie_hash) where cookie_hash is not null;

-- down
alter table control.sessions
  drop column cookie_hash,
  drop column prolonged_until;
