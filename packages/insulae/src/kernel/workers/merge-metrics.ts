/**
 * The metrics of several workers as those of one server: each sample gets the label `worker`, as Prometheus
 * gives `instance` to what it reads of several servers. So rules and dashboards that add up over instances
 * add up over workers.
 */
/** @param texts in the text format of Prometheus, by worker. */
export function mergeMetrics(texts: ReadonlyMap<string, string>): string {
  /** The lines of samples by those before them, `# HELP` and `# TYPE`. */
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
