/** Metrics in Prometheus' text format 0.0.4: a line is a name, labels or none, a value and perhaps a time. */

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED: Record<string, string> = { "\\\\": "\\", '\\"': '"', "\\n": "\n" };
const WORDS: Record<string, number> = { "+Inf": Infinity, "-Inf": -Infinity, NaN };

/** Return the samples of each metric by its name; lines that are none are passed over. */
export function parseMetrics(text: string): Map<string, Sample[]> {
  const found = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    const [, name, inside = "", told = ""] = LINE.exec(line.trim()) ?? [];
    const value = WORDS[told] ?? (told === "" ? NaN : Number(told));
    if (name === undefined || (Number.isNaN(value) && told !== "NaN")) continue;
    const labels = Object.fromEntries(
      [...inside.matchAll(LABEL)].map(([, label = "", text = ""]) => [
        label,
        text.replace(/\\[\\"n]/g, (escape) => ESCAPED[escape] ?? escape),
      ]),
    );
    const samples = found.get(name) ?? [];
    samples.push({ labels, value });
    found.set(name, samples);
  }
  return found;
}

/** Return the sum of a metric over its labels, of those that have the wanted ones; null where there is none. */
export function total(
  metrics: Map<string, Sample[]>,
  name: string,
  wanted: Record<string, string> = {},
): number | null {
  const samples = (metrics.get(name) ?? []).filter(({ labels }) =>
    Object.entries(wanted).every(([label, value]) => labels[label] === value),
  );
  return samples.length === 0 ? null : samples.reduce((sum, { value }) => sum + value, 0);
}
