-- What is known of a notification after it was sent: that it came back, or that it was not wanted.
alter table notifications drop constraint notifications_status_check;
alter table notifications add constraint notifications_status_check
  check (status in ('queued', 'sent', 'failed', 'suppressed', 'bounced', 'complained'));

-- down
update notifications set status = 'failed' where status in ('bounced', 'complained');
alter table notifications drop constraint notifications_status_check;
alter table notifications add constraint notifications_status_check
  check (status in ('queued', 'sent', 'failed', 'suppressed'));
