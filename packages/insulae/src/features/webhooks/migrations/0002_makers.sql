-- Who answers for a webhook: a user of the tenant, and the API key or client certificate that they showed.
-- What they may not read is not sent to it. Of those that were there before it is not known.
alter table webhooks add column made_by uuid;
alter table webhooks add column made_with_key uuid;
alter table webhooks add column made_with_certificate uuid;

-- down
alter table webhooks drop column made_with_certificate;
alter table webhooks drop column made_with_key;
alter table webhooks drop column made_by;
