-- Words of documents are runs of letters and digits. PostgreSQL's parser takes a URL, an e-mail, a path or a signed
-- number for one word, so that `nginx` did not find /usr/local/etc/nginx.conf, and it drops a URL's scheme from an
-- index but not from a query, so that a URL did not find itself. Now the marks of which it makes such words separate
-- words, in the index and in the query. In the query a word with marks is a phrase.
--
-- Phrases are found by the positions of words, and PostgreSQL counts no further than 16,383.
--
-- The migration of the documents makes their column `search` anew: it rewrites the table and its index under an
-- exclusive lock. A document of 256 KiB takes 0.2 to 0.3 s.
create or replace function app.search_words(given text) returns text
language plpgsql immutable strict parallel safe as $$
declare
  -- `</b>` stays a tag, which is not a word.
  form text := translate(replace(app.spaced_text(given), '</', '<'), '/.+_:@~-', '        ');
  start text := left(form, 30000);
begin
  if octet_length(form) = length(form) or form !~ app.cjk() then
    return form;
  end if;
  return app.cjk_words(start) || regexp_replace(regexp_replace(
      start, '[^' || substr(app.cjk(), 2) || '+', '', 'g'), '(.)', ' \1', 'g')
    || ' ' || substr(form, 30001);
end $$;

-- A comma separates words and has no meaning in a query. A minus excludes a word before which it stands, also one
-- that starts with a digit.
create function app.search_phrases(form text) returns text
language sql immutable strict parallel safe return
  regexp_replace(regexp_replace(translate(replace(form, '</', '<'), '/.+_:@~', ',,,,,,,'),
    '([^\s-])-+', '\1,', 'g'), '-([0-9])', '-,\1', 'g');

create or replace function app.search_query() returns tsquery
language plpgsql stable parallel safe as $$
declare
  wanted text := app.search_phrases(app.spaced_text(nullif(current_setting('app.search', true), '')));
  result tsquery;
  part text;
begin
  if wanted is null or wanted !~ app.cjk() then
    return websearch_to_tsquery('simple', wanted);
  end if;
  foreach part in array regexp_split_to_array(wanted, '\s+or\s+') loop
    result := case when result is null then app.cjk_query(part) else result || app.cjk_query(part) end;
  end loop;
  return result;
end $$;

revoke execute on function app.search_phrases from public;
grant execute on function app.search_phrases to insulae_data;

-- down
create or replace function app.search_query() returns tsquery
language plpgsql stable parallel safe as $$
declare
  wanted text := app.spaced_text(nullif(current_setting('app.search', true), ''));
  result tsquery;
  part text;
begin
  if wanted is null or wanted !~ app.cjk() then
    return websearch_to_tsquery('simple', wanted);
  end if;
  foreach part in array regexp_split_to_array(wanted, '\s+or\s+') loop
    result := case when result is null then app.cjk_query(part) else result || app.cjk_query(part) end;
  end loop;
  return result;
end $$;
drop function app.search_phrases;
create or replace function app.search_words(given text) returns text
language plpgsql immutable strict parallel safe as $$
declare
  form text := app.spaced_text(given);
  start text := left(form, 30000);
begin
  if octet_length(form) = length(form) or form !~ app.cjk() then
    return form;
  end if;
  return app.cjk_words(start) || regexp_replace(regexp_replace(
      start, '[^' || substr(app.cjk(), 2) || '+', '', 'g'), '(.)', ' \1', 'g')
    || ' ' || substr(form, 30001);
end $$;
