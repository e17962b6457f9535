import fc from "fast-check";

/**
 * Any string, including lone surrogates. Equivalent to fast-check's `binary` unit, which takes most
 * of a second per file to build.
 */
export const anyText = (constraints: { readonly maxLength?: number } = {}) =>
  fc.string({ ...constraints, unit: fc.nat(0x10_ffff).map((code) => String.fromCodePoint(code)) });
