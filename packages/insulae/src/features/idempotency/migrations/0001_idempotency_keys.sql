-- Requests that were sent with an Idempotency-Key, and what was answered to them.
create table idempotency_keys (
  -- Whose key it is: keys of different callers have nothing to do with each other.
  caller_id uuid not null,
  key text not null,
  -- Of method, address and body.
  request_hash text not null,
  -- Who answers it at the moment, and until when that is believed.
  claim uuid not null,
  claimed_until timestamptz not null,
  -- The answer; null while there is none.
  status smallint,
  headers jsonb not null default '{}',
  -- Null as well where the answer was too large to keep.
  body text,
  expires_at timestamptz not null,
  primary key (caller_id, key)
);
create index idempotency_keys_expires_at_idx on idempotency_keys (expires_at);

select app.tenant_table('idempotency_keys');

-- down
drop table idempotency_keys;
