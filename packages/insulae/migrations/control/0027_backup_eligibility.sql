-- Whether a passkey may be copied to other devices (WebAuthn, level 3, 6.1.3). Its authenticator says so at every use,
-- and it never changes. Of those that are there already it is noted at their next use.
alter table control.factors add column backup_eligible boolean;

-- down
alter table control.factors drop column backup_eligible;
