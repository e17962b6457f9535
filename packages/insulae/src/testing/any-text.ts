import fc from "fast-check";

/**
 * Any text, halves of surrogate pairs included. What fast-check calls `binary` is the same, and takes
 * most of a second of each file to make.
 */
export const anyText = (constraints: { readonly maxLength?: number } = {}) =>
  fc.string({ ...constraints, unit: fc.nat(0x10_ffff).map((code) => String.fromCodePoint(code)) });
