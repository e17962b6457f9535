-- Tenants take turns in sending mails: which of them have some, and when the next of each is due. The mails
-- of the platform have a turn of their own, under the greatest uuid.
create index mails_turn
  on control.mails (coalesce(tenant_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid), due_at)
  where state = 'waiting';

-- down
drop index control.mails_turn;
