-- Codes and tickets of one person that are good beside each other: two devices sign in at once.
alter table control.one_time_tokens add column single boolean not null default true;
alter table control.one_time_tokens drop constraint one_time_tokens_subject_key;
create unique index one_time_tokens_single
  on control.one_time_tokens (purpose, tenant_id, subject_id) nulls not distinct
  where single;
create index one_time_tokens_subject on control.one_time_tokens (subject_id);

-- down
delete from control.one_time_tokens where not single;
drop index control.one_time_tokens_subject;
drop index control.one_time_tokens_single;
alter table control.one_time_tokens
  add constraint one_time_tokens_subject_key
    unique nulls not distinct (purpose, tenant_id, subject_id);
alter table control.one_time_tokens drop column single;
