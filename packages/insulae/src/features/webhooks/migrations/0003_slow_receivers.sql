-- Whether its receiver took long to answer the last time: of those a tenant has few passes at a time.
alter table webhook_states add column slow boolean not null default false;

-- down
alter table webhook_states drop column slow;
