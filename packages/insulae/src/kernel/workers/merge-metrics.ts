/**
 * Merges several workers' metrics: each sample gets the label `worker`, as Prometheus adds
 * `instance` per server, so rules and dashboards that sum over instances work for workers too.
 */
/** @param texts in Prometheus's text format, by worker */
export function mergeMetrics(texts: ReadonlyMap<string, string>): string {
  /** Sample lines, by the `# HELP` and `# TYPE` lines before them. */
  const families = new Map<string, string[]>();
  for (const [worker, text] of texts) {
    let head = "";
    for (const line of text.split("\n")) {
      if (line.startsWith("# HELP ")) head = `${line}\n`;
      else if (line.startsWith("# TYPE ")) {
        head += `${line}\n`;
        if (!families.has(head)) families.set(head, []);
      } else if (line !== "") {
        families.get(head)?.push(`${labelled(line, `worker="${worker}"`)}\n`);
      }
    }
  }
  return [...families].map(([head, samples]) => head + samples.join("")).join("");
}

/** `name value` or `name{labels} value`. */
function labelled(sample: string, label: string): string {
  const end = sample.search(/[{ ]/);
  const name = sample.slice(0, end);
  const rest = sample.slice(end + 1);
  return sample[end] === "{" ? `${name}{${label},${rest}` : `${name}{${label}} ${rest}`;
}
