/**
 * Timestamps in responses, events and exports have one format: RFC 3339 in UTC with microseconds,
 * `2026-11-30T20:41:09.441021Z`. The schema says where they are (`timestamp`). Everything that it
 * doesn't describe, such as arbitrary JSON in a column or setting, stays unchanged.
 *
 * PostgreSQL's JSON has `+00:00` and no trailing zeros, and no setting changes that. `to_char` for
 * each value took 40 µs for 25 rows with two timestamps each (of 125), so the text is rewritten on
 * its way through (times-in-text.ts).
 */

/** A `Date` in this format. It has only milliseconds. */
export const timeText = (date: Date): string => `${date.toISOString().slice(0, -1)}000Z`;

/** A UTC timestamp as written by PostgreSQL or `toISOString()`. */
const utc = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|\+00:00)$/;

/** The text in this format if it is a timestamp, otherwise unchanged. */
export function respellTime(text: string): string {
  const [, seconds, fraction = ""] = utc.exec(text) ?? [];
  return seconds === undefined ? text : `${seconds}.${fraction.padEnd(6, "0")}Z`;
}

/** Where a value has timestamps. */
export interface TimePlaces {
  /** The value is one itself. */
  readonly isTime: boolean;
  /** By position in a tuple; further items are `items`. */
  readonly tuple: readonly (TimePlaces | undefined)[];
  readonly items: TimePlaces | undefined;
  /** Properties by name, including those without timestamps; all others are `others`. */
  readonly members: ReadonlyMap<string, TimePlaces | undefined>;
  readonly others: TimePlaces | undefined;
}

type Schema = Readonly<Record<string, unknown>>;

/** Undefined if the schema has no timestamps. For a union, the places of all parts together. */
export function timePlacesOf(schema: unknown): TimePlaces | undefined {
  if (!isObject(schema)) return undefined;
  const { format, items, additionalItems, properties, patternProperties } = schema;
  const own: TimePlaces = {
    isTime: format === "date-time",
    tuple: Array.isArray(items) ? items.map(timePlacesOf) : [],
    items: timePlacesOf(Array.isArray(items) ? additionalItems : items),
    members: new Map(
      Object.entries(isObject(properties) ? properties : {}).map(([name, member]) => [
        name,
        timePlacesOf(member),
      ]),
    ),
    others: Object.values(isObject(patternProperties) ? patternProperties : {})
      .map(timePlacesOf)
      .reduce(merge, timePlacesOf(schema.additionalProperties)),
  };
  const places = partsOf(schema).map(timePlacesOf).reduce<TimePlaces>(mergeBoth, own);
  const { isTime, tuple, members } = places;
  return isTime || [places.items, places.others, ...tuple, ...members.values()].some(Boolean)
    ? places
    : undefined;
}

/** The parts of a union or an intersection. */
export const partsOf = ({ anyOf, oneOf, allOf }: Schema): unknown[] =>
  [anyOf, oneOf, allOf].flatMap((parts) => (Array.isArray(parts) ? parts : []));

const merge = (a: TimePlaces | undefined, b: TimePlaces | undefined): TimePlaces | undefined =>
  (a && mergeBoth(a, b)) || b;

function mergeBoth(a: TimePlaces, b: TimePlaces | undefined): TimePlaces {
  if (b === undefined) return a;
  const members = new Map(a.members);
  for (const [name, member] of b.members) members.set(name, merge(members.get(name), member));
  const [long, short] = a.tuple.length < b.tuple.length ? [b.tuple, a.tuple] : [a.tuple, b.tuple];
  return {
    isTime: a.isTime || b.isTime,
    tuple: long.map((each, i) => merge(each, short[i])),
    items: merge(a.items, b.items),
    members,
    others: merge(a.others, b.others),
  };
}

/** The places in a list's item. */
export const placesAt = ({ tuple, items }: TimePlaces, index: number): TimePlaces | undefined =>
  index < tuple.length ? tuple[index] : items;

/** The places in a property. */
export const placesIn = ({ members, others }: TimePlaces, name: string): TimePlaces | undefined =>
  members.has(name) ? members.get(name) : others;

/** Returns the value with its timestamps in this format, as a copy if it has any. */
export type RespellValue = (value: unknown) => unknown;

/** For values of the schema. */
export function respellerOf(schema: object): RespellValue {
  const places = timePlacesOf(schema);
  return places ? (value) => respell(places, value) : (value) => value;
}

function respell(places: TimePlaces, value: unknown): unknown {
  if (value instanceof Date) {
    return places.isTime && !Number.isNaN(value.getTime()) ? timeText(value) : value;
  }
  if (typeof value === "string") return places.isTime ? respellTime(value) : value;
  if (!isObject(value)) return value;
  const inside = (at: TimePlaces | undefined, each: unknown) => (at ? respell(at, each) : each);
  if (Array.isArray(value)) {
    return value.map((each, index) => inside(placesAt(places, index), each));
  }
  if (places.others === undefined && places.members.size === 0) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, inside(placesIn(places, name), each)]),
  );
}

export const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null;
