/** The parts of `--help` that are prose. */

export const afterHelp = `
A <tenant> is named by its id, key, slug or number.

Commands act on the application that insulae.config.ts of this folder exports (or --app <file>); where
there is none, on the stock server.

Settings come from the environment, and from the file .env of this folder where the environment
says nothing. The most important ones:
  PORT           where the server listens (8000)
  DATA_DIR       the folder that holds everything (.insulae)
  DATABASE_URL   a PostgreSQL 15 or later instead of the embedded one, as its administrator
  APP_ENV        development or production; in production nothing is generated or open by default
  LOG_LEVEL      debug also shows where an error comes from

While a server runs on a data folder, other commands work beside it, on the same PostgreSQL.
Data goes to stdout, progress and errors go to stderr.

Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  try again: the database can't be reached, or is busy
  4  a question has to be answered, and there is no terminal (--yes answers it)
  5  refused: not confirmed, or not safe
`;

/** By command: lines that can be typed, and what each is for. */
export const examples = {
  start: [
    ["insulae start", "on http://localhost:8000, with all its data in .insulae"],
    ["insulae start --port 8001", "on another port"],
    ["insulae start --workers auto", "a process for each core (docs/operations.md)"],
    ["DATABASE_URL=postgres://… insulae start", "on a PostgreSQL of your own"],
  ],
  dev: [
    ["insulae dev", "while you write an application; Ctrl-C stops it"],
    ["insulae dev --app examples/invoices/insulae.config.ts", "that of another folder"],
  ],
  tenant: [
    ["insulae tenant create acme --name 'Acme Corp'", "in the pool"],
    ["insulae tenant create bank --isolation database --host bank.example", ""],
    ["insulae tenant list --json | jq -r '.items[].key'", ""],
    ["insulae tenant delete acme --yes", "its key is free at once, its rows are kept for a while"],
  ],
  server: [
    ["insulae server add eu postgres://admin:…@eu.example:5432/insulae --weight 2", ""],
    ["insulae server add eu - < url.txt", "so that no password is in the list of processes"],
    [
      "insulae server update eu --url - < url.txt",
      "after its password was changed, or it has moved",
    ],
    ["insulae server drain eu && insulae server remove eu", "once nobody is on it"],
  ],
  keys: [
    ["insulae keys rotate", "every few months; nobody has to sign in again"],
    ["insulae keys rotate --now && insulae keys retire <id>", "if a key may be known to others"],
  ],
  migrate: [
    ["insulae migrate status", "what is due, and where"],
    ["insulae migrate up", "can be repeated: it goes on with what is missing"],
    ["insulae migrate new add_vat_id --feature contacts", "the next file in its folder"],
    ["insulae migrate down --feature contacts --all", "while you write a migration"],
  ],
  jobs: [
    ["insulae jobs list --state parked", "what has failed too often, and why"],
    ["insulae jobs retry <id>", "once what made it fail is mended"],
    ["insulae jobs drop <id> <id>", ""],
  ],
  audit: [
    ["insulae audit verify", "exit code 1 if an entry was changed, removed, added or moved"],
    ["insulae audit verify --tenant acme --json", ""],
    ["insulae audit verify --after acme", "the tenants that are older than this one"],
  ],
  logs: [
    ["insulae logs -f", "with ADMIN_EMAIL and ADMIN_PASSWORD of the environment, or INSULAE_TOKEN"],
    ["insulae logs -f --tenant 0197… --level warn --json | jq .message", ""],
  ],
  doctor: [
    ["insulae doctor", "changes nothing; exit code 1 if something is wrong"],
    ["insulae doctor --production", "before strangers come, and after every change of settings"],
    ["insulae doctor --json | jq '.checks[] | select(.state != \"ok\")'", ""],
  ],
} as const;

export const examplesOf = (command: keyof typeof examples): string =>
  `\nExamples:\n${examples[command]
    .map(([line, meaning]) => `  ${line}${meaning === "" ? "" : `\n      ${meaning}`}`)
    .join("\n")}\n`;
