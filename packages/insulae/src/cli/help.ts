/** The prose in `--help`. */

export const afterHelp = `
For <tenant>, give its id, key, slug or number.

Commands act on the application that insulae.config.ts in this folder exports (or --app <file>). If there
is none, they act on the stock server.

Settings come from the environment. The file .env in this folder supplies those that the environment
does not set. The most important ones:
  PORT           where the server listens (8000)
  DATA_DIR       the folder that holds everything (.insulae)
  DATABASE_URL   an administrator's URL of a PostgreSQL 15 or later, instead of the embedded one
  APP_ENV        development or production; in production nothing is generated or open by default
  LOG_LEVEL      debug also shows where an error comes from

Commands also work while a server runs on the same data folder; they use the same PostgreSQL.
Data goes to stdout, progress and errors go to stderr.

Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  try again: the database can't be reached or is busy
  4  a question needs an answer and there is no terminal (use --yes)
  5  refused: not confirmed or not safe
`;

/** Example command lines for each command, and what they are for. */
export const examples = {
  start: [
    ["insulae start", "on http://localhost:8000, with all its data in .insulae"],
    ["insulae start --port 8001", "on another port"],
    ["insulae start --workers auto", "one process per core (docs/operations.md)"],
    ["DATABASE_URL=postgres://… insulae start", "on your own PostgreSQL"],
  ],
  dev: [
    ["insulae dev", "while you develop an application; Ctrl-C stops it"],
    ["insulae dev --app examples/invoices/insulae.config.ts", "an application in another folder"],
  ],
  tenant: [
    ["insulae tenant create acme --name 'Acme Corp'", "in the shared pool"],
    ["insulae tenant create bank --isolation database --host bank.example", ""],
    ["insulae tenant list --json | jq -r '.items[].key'", ""],
    ["insulae tenant delete acme --yes", "its key is free at once, its rows are erased later"],
  ],
  server: [
    [
      "insulae server add eu - --weight 2 < url.txt",
      "- reads the URL from stdin: its password stays out of the process list",
    ],
    [
      "insulae server update eu --url - < url.txt",
      "after it has moved or its password has changed",
    ],
    ["insulae server drain eu && insulae server remove eu", "once no tenants are left on it"],
  ],
  admin: [
    ["insulae admin link", "if the password is lost; works while the server runs"],
    ["insulae admin link --email ops@example.com", "another administrator's"],
  ],
  keys: [
    ["insulae keys rotate", "every few months; users stay signed in"],
    ["insulae keys rotate --now && insulae keys retire <id>", "if a key may have leaked"],
  ],
  migrate: [
    ["insulae migrate status", "pending migrations by placement"],
    ["insulae migrate up", "can be repeated; applies what is missing"],
    ["insulae migrate new add_due_date --feature tasks", "the next file in its folder"],
    ["insulae migrate down --feature tasks --all", "while you develop a migration"],
  ],
  jobs: [
    ["insulae jobs list --state parked", "failed jobs without retries left, and why"],
    ["insulae jobs retry <id>", "once the cause is fixed"],
    ["insulae jobs drop <id> <id>", ""],
  ],
  audit: [
    ["insulae audit verify", "exit code 1 if an entry was changed, removed, added or moved"],
    ["insulae audit verify --tenant acme --json", ""],
    ["insulae audit verify --after acme", "only tenants older than this one"],
  ],
  logs: [
    ["insulae logs -f", "logs in with ADMIN_EMAIL and ADMIN_PASSWORD, or INSULAE_TOKEN"],
    ["insulae logs -f --tenant 0197… --level warn --json | jq .message", ""],
  ],
  doctor: [
    ["insulae doctor", "changes nothing; exit code 1 if something is wrong"],
    ["insulae doctor --production", "before going live, and after every change of settings"],
    ["insulae doctor --json | jq '.checks[] | select(.state != \"ok\")'", ""],
  ],
  prove: [
    ["insulae prove", "in a scratch database; no tenant's table is touched"],
    ["insulae prove --json > proof.json", "a report to keep"],
  ],
} as const;

export const examplesOf = (command: keyof typeof examples): string =>
  `\nExamples:\n${examples[command]
    .map(([line, meaning]) => `  ${line}${meaning === "" ? "" : `\n      ${meaning}`}`)
    .join("\n")}\n`;
