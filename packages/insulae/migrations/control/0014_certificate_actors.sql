-- Whoever acts by a client certificate is a kind of actor of its own.
alter table control.audit_log
  drop constraint audit_log_actor_kind_check,
  add constraint audit_log_actor_kind_check
    check (actor_kind in ('user', 'account', 'api_key', 'certificate', 'system', 'anonymous'));

-- down
-- What has been written stays as it is.
alter table control.audit_log
  drop constraint audit_log_actor_kind_check,
  add constraint audit_log_actor_kind_check
    check (actor_kind in ('user', 'account', 'api_key', 'system', 'anonymous')) not valid;
