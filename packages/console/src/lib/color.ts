/** Contrast, as WCAG 2.2 reckons it. Colours are `#rrggbb`. */

type Channels = readonly [number, number, number];

const isColor = /^#[0-9a-f]{6}$/i;

const channelsOf = (color: string): Channels => [
  Number.parseInt(color.slice(1, 3), 16),
  Number.parseInt(color.slice(3, 5), 16),
  Number.parseInt(color.slice(5, 7), 16),
];

function luminanceOf(color: string): number {
  const [red, green, blue] = channelsOf(color).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Channels; // three, as before
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrastOf(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminanceOf(one), luminanceOf(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

const mix = (color: string, other: string, share: number): string => {
  const towards = channelsOf(other);
  const mixed = channelsOf(color).map((value, at) =>
    Math.round(value + ((towards[at] ?? 0) - value) * share),
  );
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
};

/** Of text. */
const leastContrast = 4.5;

/**
 * The colour, made darker or lighter until it can be read on that ground.
 *
 * @returns undefined for what is no colour of this form
 */
export function legible(color: unknown, ground: string): string | undefined {
  if (typeof color !== "string" || !isColor.test(color)) return undefined;
  const end = luminanceOf(ground) > 0.5 ? "#000000" : "#ffffff";
  for (let share = 0; share < 1; share += 0.02) {
    const candidate = mix(color, end, share);
    if (contrastOf(candidate, ground) >= leastContrast) return candidate;
  }
  return end;
}
