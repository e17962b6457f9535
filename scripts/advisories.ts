/**
 * `npm run advisories`: reports known vulnerabilities of dependencies, including development ones.
 * Some registries (mirrors) don't support this query; then the result is unknown, which is reported
 * as such. `--required` makes that a failure.
 */
import { spawnSync } from "node:child_process";

const required = process.argv.includes("--required");
const { stdout } = spawnSync("npm", ["audit", "--json", "--fetch-retries=0"], {
  encoding: "utf8",
  timeout: 120_000,
});

interface Vulnerability {
  readonly severity: string;
  /** Advisories, or names of vulnerable dependencies. */
  readonly via: readonly (string | { readonly title: string; readonly url: string })[];
}

interface Report {
  readonly vulnerabilities?: Readonly<Record<string, Vulnerability>>;
  /** npm's own error. */
  readonly message?: string;
}

/** Parses npm's output; an error in plain text becomes a message. */
function reportOf(text: string): Report {
  try {
    return JSON.parse(text); // npm's own format, version 2
  } catch {
    return { message: text.trim() || "npm gave no output" };
  }
}

const { vulnerabilities, message = "npm gave no reason" } = reportOf(stdout);
if (!vulnerabilities) {
  console.log(`COULD NOT ASK for known vulnerabilities, so there may be some: ${message}`);
  process.exitCode = required ? 1 : 0;
} else {
  const found = Object.entries(vulnerabilities);
  for (const [name, { severity, via }] of found) {
    const why = via.map((one) => (typeof one === "string" ? one : `${one.title}, ${one.url}`));
    console.log(`${severity}  ${name}: ${why.join("; ")}`);
  }
  if (found.length === 0) console.log("No dependency has a known vulnerability");
  process.exitCode = found.length === 0 ? 0 : 1;
}
