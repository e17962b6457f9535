/**
 * The schema of an application's per-tenant settings, declared once: writes are validated against
 * it, and reads get its types. Every setting has a default or is optional, so tenants older than
 * the schema are valid too.
 */
import { type Static, type TObject, Type } from "typebox";
import { quotaNames } from "../../config/quotas.ts";
import { AppError } from "../lib/errors.ts";
import type { Tenant } from "../model/tenant.ts";
import { createValidators } from "../validation/validation.ts";

/** The parts of a tenant's settings that the application defines. */
export interface SettingsShape {
  /** Feature flags: booleans. */
  readonly features?: TObject;
  /**
   * Limits: numbers. Only for platform administrators, in addition to the plan's quotas and rates.
   */
  readonly limits?: TObject;
  /** Appearance: strings. E-mails use `name`, `logo_url`, `color`, … */
  readonly branding?: TObject;
  /** Anything else. */
  readonly custom?: TObject;
}

export interface TenantSettings<Values> {
  /** The tenant's values, with defaults for missing ones. */
  readonly of: (tenant: Tenant) => Values;
  /** @throws validationFailed, with the paths of invalid values */
  readonly check: (settings: Readonly<Record<string, unknown>>) => void;
}

type ValuesOf<Shape> = {
  readonly [Part in keyof Shape]: Shape[Part] extends TObject
    ? Readonly<Static<Shape[Part]>>
    : never;
};

/** The built-in members of these parts; see docs/limits.md and docs/notifications.md. */
const own: Readonly<Record<string, TObject>> = {
  limits: Type.Partial(
    Type.Object(
      Object.fromEntries(
        ["requests_per_minute", ...quotaNames].map((name) => [name, Type.Number({ minimum: 0 })]),
      ),
    ),
  ),
  branding: Type.Partial(
    Type.Object(
      Object.fromEntries(
        ["name", "support_email", "logo_url", "color", "footer"].map((name) => [
          name,
          Type.String(),
        ]),
      ),
    ),
  ),
};

/**
 * Declares the schema of tenants' settings. Give it to `createApp({ settings })`, which validates
 * every write, by code or by the API; read with `of`.
 *
 * @throws Error if a setting neither has a default nor is optional
 * @example
 * const shop = tenantSettings({
 *   features: Type.Object({ reports: Type.Boolean({ default: false }) }),
 *   limits: Type.Object({ max_items: Type.Integer({ default: 100 }) }),
 * });
 * // in a handler:
 * if (!shop.of(tenant).features.reports) throw notInYourPlan();
 */
export function tenantSettings<const Shape extends SettingsShape>(
  shape: Shape,
): TenantSettings<ValuesOf<Shape>> {
  const parts = Object.entries(shape) as [string, TObject][]; // per the type
  const schema = Type.Object(
    Object.fromEntries(
      parts.map(([name, part]) => [
        name,
        Type.Object({ ...own[name]?.properties, ...part.properties }, { default: {} }),
      ]),
    ),
  );
  const validate = createValidators()(schema, "body", "body/settings");
  const known = new WeakMap<Tenant, ValuesOf<Shape>>();

  /** A copy, with the defaults. */
  const complete = (settings: Readonly<Record<string, unknown>>): unknown => {
    const given = parts.flatMap(([name]) =>
      settings[name] === undefined ? [] : [[name, structuredClone(settings[name])]],
    );
    const values: unknown = Object.fromEntries(given);
    validate(values);
    return values;
  };
  try {
    complete({});
  } catch (error) {
    throw new Error(
      `tenantSettings: each setting needs a default or must be optional: ${pointersOf(error)}`,
    );
  }

  return {
    check: (settings) => void complete(settings),
    of(tenant) {
      let values = known.get(tenant);
      if (!values) {
        try {
          values = complete(tenant.settings) as ValuesOf<Shape>; // it has been validated
        } catch (error) {
          // Stored before the schema was declared, or under a different one.
          throw new Error(
            `tenant ${tenant.key}: its settings don't match the schema: ${pointersOf(error)}`,
          );
        }
        // Keyed by object: a tenant's object is replaced whenever the tenant changes.
        known.set(tenant, values);
      }
      return values;
    },
  };
}

const pointersOf = (error: unknown): string => {
  if (!(error instanceof AppError)) throw error;
  return (error.errors ?? []).map(({ pointer, message }) => `${pointer} ${message}`).join(", ");
};
