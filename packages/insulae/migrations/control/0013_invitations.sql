-- An account is shown the invitations that wait for its e-mail, in whatever tenants they are.
create index one_time_tokens_invitations on control.one_time_tokens ((detail ->> 'email'))
  where purpose = 'invitation';

-- down
drop index control.one_time_tokens_invitations;
