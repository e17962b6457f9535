/** `12345.6` → `12,300`: a benchmark justifies three digits. */
export const count = (value: number): string =>
  Number(value.toPrecision(3)).toLocaleString("en-US");

export const milliseconds = (value: number | undefined): string =>
  value === undefined ? "–" : `${Number(value.toPrecision(3))} ms`;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

export const megabytes = (bytes: number | undefined): string =>
  bytes === undefined ? "–" : `${Math.round(bytes / 2 ** 20)} MB`;

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

export const times = (ratio: number): string => `${ratio.toFixed(1)} ×`;
