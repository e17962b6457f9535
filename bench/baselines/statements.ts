/** The SQL of both baselines; the same rows and columns that Insulae answers with. */
const columns = "id, name, email, phone, company, notes, created_at, updated_at";

export const statements = {
  scope: "select set_config('app.current_tenant_id', $1, true)",
  list: `select ${columns} from data.contacts order by id desc limit $1`,
  one: `select ${columns} from data.contacts where id = $1`,
  insert: `insert into data.contacts (name, email, phone, company, notes)
    values ($1, $2, $3, $4, $5) returning ${columns}`,
};
