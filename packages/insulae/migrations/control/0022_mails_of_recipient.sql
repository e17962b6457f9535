-- How many mails of a kind somebody got in the last hour: asked before each that a stranger may cause.
create index mails_recipient on control.mails (recipient, created_at);

-- down
drop index control.mails_recipient;
