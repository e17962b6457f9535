/** The SQL of Express and Hono. */
const columns = "id, name, email, phone, company, notes, created_at, updated_at";

export const statements = {
  scope: "select set_config('app.current_tenant_id', $1, true)",
  list: `select ${columns} from data.contacts order by id desc limit $1`,
  one: `select ${columns} from data.contacts where id = $1`,
  insert: `insert into data.contacts (name, email, phone, company, notes)
    values ($1, $2, $3, $4, $5) returning ${columns}`,
};

const all =
  '"id", "name", "email", "phone", "company", "address", "age", "gender", "notes", "created_at", "updated_at"';

/** Insulae's SQL for the same requests, verbatim; the bare servers use it too. */
export const insulaeStatements = {
  read_scope:
    "select set_config('app.current_tenant_id', $1, true), set_config('transaction_read_only', 'on', true)",
  write_scope:
    "select set_config('app.current_tenant_id', $1, true), set_config('app.quotas', $2, true)",
  list: `
  select string_agg(item, E',\\n'), count(item)::int, count(*)::int
  from (
    select case when piece = 0 then item end as item
    from (
      select item, generate_series(0, octet_length(item) / 6144) as piece
      from (select row_to_json(t.*)::text as item from (select ${all} from "contacts" order by "id" desc limit $1) as t offset 0) as items
    ) as pieces
    limit 512
  ) as firsts`,
  one: `select row_to_json(t.*)::text from (select ${all} from "contacts" where "id" = $1) as t limit 1`,
  insert_one: `with t as (insert into "contacts" ("name", "email", "phone", "company", "notes") values ($1, $2, $3, $4, $5) returning ${all}) select row_to_json(t.*)::text from t limit 1`,
};

/** Its connections' settings that affect how statements run. */
export const insulaeSettings = [
  ...["search_path=data", "plan_cache_mode=force_generic_plan", "enable_seqscan=off"],
  ...["TimeZone=UTC", "jit=off"],
]
  .map((setting) => `-c ${setting}`)
  .join(" ");
