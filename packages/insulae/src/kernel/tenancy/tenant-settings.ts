/**
 * The shape of what an application sets for each tenant, said once: what is written is checked against
 * it, and what is read has its types. Every setting has a default or may be missing, so that a tenant
 * from before the shape was said has it too.
 */
import { type Static, type TObject, Type } from "typebox";
import { quotaNames } from "../../config/quotas.ts";
import { AppError } from "../lib/errors.ts";
import { createValidators } from "../validation/validation.ts";
import type { Tenant } from "./tenant.ts";

/** The parts of a tenant's settings that are an application's to shape. */
export interface SettingsShape {
  /** What is switched on: booleans. */
  readonly features?: TObject;
  /** How much: numbers. For platform administrators, beside the quotas and rates of the plan. */
  readonly limits?: TObject;
  /** How it looks: texts. Mails have their own: `name`, `logo_url`, `color`, … */
  readonly branding?: TObject;
  /** Anything else. */
  readonly custom?: TObject;
}

export interface TenantSettings<Values> {
  /** What is set for the tenant, with defaults for what is not. */
  readonly of: (tenant: Tenant) => Values;
  /** @throws validationFailed, with the path of what is wrong */
  readonly check: (settings: Readonly<Record<string, unknown>>) => void;
}

type ValuesOf<Shape> = {
  readonly [Part in keyof Shape]: Shape[Part] extends TObject
    ? Readonly<Static<Shape[Part]>>
    : never;
};

/** What stands in these parts anyway; see docs/limits.md and docs/notifications.md. */
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
 * Says the shape of the tenants' settings. Give it to `createApp({ settings })`, which has it checked
 * whenever settings are written, by code or by the API; read with `of`.
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
  const parts = Object.entries(shape) as [string, TObject][]; // what the type says
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
      `tenantSettings: each needs a default, or to be optional: ${pointersOf(error)}`,
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
          // It was written before the shape was said, or was another.
          throw new Error(`tenant ${tenant.key}: its settings don't fit: ${pointersOf(error)}`);
        }
        // A tenant's object is replaced when anything about the tenant changes.
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
