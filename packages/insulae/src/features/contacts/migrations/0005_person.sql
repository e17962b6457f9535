-- What an address book keeps of a person as well. `contacts` inherits from `contacts_search`, and has
-- the columns that this one is given.
alter table contacts_search
  add column address text,
  add column age smallint check (age between 0 and 150),
  add column gender text;

-- down
alter table contacts_search drop column address, drop column age, drop column gender;
