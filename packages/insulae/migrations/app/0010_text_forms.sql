-- The forms in which texts are searched and sorted. A text looks the same to its readers whether its é is one
-- character or two (file names of macOS have two), and must be found and sorted the same.

-- As it is searched: NFKC, folded to lower case, and without characters that nobody sees (soft hyphen, zero-width
-- space, word joiner, byte order mark). Normalising takes the square of a run of combining marks, and cannot be
-- cancelled; so it gets pieces of at most 500 characters. The pieces come from one pass of `.{1,250}`, which
-- PostgreSQL matches by counting. What might combine with the end of a piece, up to the next character that surely
-- combines with nothing before it, moves into that piece. 200,000 characters take 0.07 s, half of them half of it.
create function app.search_text(given text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  if octet_length(given) = length(given) then
    return lower(given);
  end if;
  return (
    with pieces as (
      select n, piece[1] as piece, case when n = 1 then '' else coalesce(substring(piece[1] from
        '^[^\u0001-\u02ff\u0370-\u0482\u048a-\u0590\u1100-\u115f\u3041-\u3096\u30a0-\u30ff\u3400-\u9fff\uac00-\ud7a3]+'
        ), '') end as head
      from regexp_matches(translate(given, e'\u00ad\u200b\u2060\ufeff', ''), '.{1,250}', 'g')
        with ordinality as cut (piece, n)
    ),
    wholes as (
      select n, substr(piece, length(head) + 1) || lead(head, 1, '') over (order by n) as whole from pieces
    )
    -- lower() is not case folding: Σ is σ or ς, and ẞ becomes ß, which others write as ss.
    select replace(translate(lower(coalesce(string_agg(normalize(whole, nfkc), '' order by n), '')),
      e'\u03c2', e'\u03c3'), e'\u00df', 'ss')
    from wholes);
end $$;

-- As it is sorted: Ärger before Zoe, and before it Arger. Full-width letters and ligatures as plain letters (NFKD),
-- without their marks, in lower case; a key and not a collation, whose rules change with the system's libraries and
-- leave indexes in disorder. One character may become 18, and an index's row has room for 2,700 bytes.
create function app.sort_key(given text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  if octet_length(given) = length(given) then
    return lower(left(given, 200));
  end if;
  return lower(left(regexp_replace(normalize(left(given, 200), nfkd), '[\u0300-\u036f]+', '', 'g'), 500));
end $$;

-- As it is cut into words: PostgreSQL's parser takes whatever is not ASCII for letters, also “ and 、, where the
-- database's locale is C.
create function app.spaced_text(given text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return regexp_replace(app.search_text(given),
    '[\u00a0-\u00bf\u2000-\u206f\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\u303d\u30fb]', ' ', 'g');
end $$;

-- Chinese and Japanese have no blanks between words. Each of their characters and each pair of neighbours is
-- a word here: 東京都 is `東 東京 京都 都` and the single characters.
create function app.cjk() returns text language sql immutable parallel safe return
  '[\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]';

create function app.cjk_words(given text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  -- Runs apart from what is beside them, then each character twice: the end of one pair, the start of the next.
  return regexp_replace(
    regexp_replace(given, '(' || app.cjk() || '+)', ' \1 ', 'g'), '(' || app.cjk() || ')', '\1 \1', 'g');
end $$;

-- A text for `to_tsvector`. Of a very long one only the beginning is cut into pairs.
create function app.search_words(given text) returns text
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

-- The words of a title and a text. A vector holds 1 MB; a text with more different words than that is found by those
-- of its first 100,000 characters, whatever they are (7.5 bytes each at most), instead of being refused.
create function app.search_vector(title text, content text) returns tsvector
language plpgsql immutable strict as $$
declare
  titled constant tsvector := setweight(to_tsvector('simple', app.search_words(title)), 'A');
  words constant text := app.search_words(content);
begin
  return titled || setweight(to_tsvector('simple', words), 'B');
exception when program_limit_exceeded then
  return titled || setweight(to_tsvector('simple', left(words, 100000)), 'B');
end $$;

create or replace function app.search_for(wanted text, fuzzy boolean default false) returns void
language plpgsql as $$
declare
  -- A blank at its end is not looked for; U+3000 is that of East Asia.
  trimmed text := btrim(wanted, e' \t\r\n\u00a0\u3000');
begin
  perform
    set_config('app.search', trimmed, true),
    set_config('app.search_fuzzy', case when fuzzy then trimmed else '' end, true),
    set_config('pg_trgm.word_similarity_threshold', '0.4', true),
    set_config('plan_cache_mode', 'force_custom_plan', true);
end $$;

create or replace function app.search_pattern() returns text
language sql stable parallel safe
return '%' || regexp_replace(
  app.search_text(nullif(current_setting('app.search', true), '')), '([\\%_])', '\\\1', 'g') || '%';

create or replace function app.search_similar() returns text
language sql stable parallel safe
return app.search_text(nullif(current_setting('app.search_fuzzy', true), ''));

-- Its words, as somebody would type them into a search engine. Those of a text without blanks (東京都) all have
-- to be there, and a minus before them excludes them; quotes don't matter to them.
create function app.cjk_query(wanted text) returns tsquery
language plpgsql stable strict parallel safe as $$
declare
  runs constant text := '(-?)"?(' || app.cjk() || '+)"?';
  result tsquery := websearch_to_tsquery('simple', regexp_replace(wanted, runs, ' ', 'g'));
  run text[];
  words tsquery;
begin
  for run in select regexp_matches(wanted, runs, 'g') loop
    words := plainto_tsquery('simple', app.cjk_words(run[2]));
    result := result && case when run[1] = '-' then !! words else words end;
  end loop;
  return result;
end $$;

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

revoke execute on function
  app.search_text, app.sort_key, app.spaced_text, app.cjk, app.cjk_words, app.search_words, app.search_vector,
  app.cjk_query
  from public;
grant execute on function
  app.search_text, app.sort_key, app.spaced_text, app.cjk, app.cjk_words, app.search_words, app.search_vector,
  app.cjk_query
  to insulae_data;

-- down
create or replace function app.search_for(wanted text, fuzzy boolean default false) returns void
language plpgsql as $$
begin
  perform
    set_config('app.search', wanted, true),
    set_config('app.search_fuzzy', case when fuzzy then wanted else '' end, true),
    set_config('pg_trgm.word_similarity_threshold', '0.4', true),
    set_config('plan_cache_mode', 'force_custom_plan', true);
end $$;
create or replace function app.search_pattern() returns text
language sql stable parallel safe
return '%' || regexp_replace(
  lower(nullif(current_setting('app.search', true), '')), '([\\%_])', '\\\1', 'g') || '%';
create or replace function app.search_similar() returns text
language sql stable parallel safe
return lower(nullif(current_setting('app.search_fuzzy', true), ''));
create or replace function app.search_query() returns tsquery
language sql stable parallel safe
return websearch_to_tsquery('simple', nullif(current_setting('app.search', true), ''));
drop function app.cjk_query;
drop function app.search_vector;
drop function app.search_words;
drop function app.cjk_words;
drop function app.cjk;
drop function app.spaced_text;
drop function app.sort_key;
drop function app.search_text;
