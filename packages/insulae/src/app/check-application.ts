/**
 * Checks an application before anything is opened: the options of `createApp()` and `defineApp()`,
 * and the features with their migrations.
 */

import { loadConfig } from "../config/config.ts";
import type { Feature } from "../kernel/feature/feature.ts";
import { declarationProblems } from "../kernel/http/api/check-declarations.ts";
import {
  collecting,
  DeclarationError,
  describeValue,
  refuse,
  unknownNames,
} from "../kernel/lib/declaration-error.ts";
import { loadMigrations, type Migrations } from "../kernel/schema/migration-files.ts";
import type { Application, AppOptions } from "./app-api.ts";

const applicationOptions: Readonly<Record<keyof Application, true>> = {
  name: true,
  features: true,
  settings: true,
  retired: true,
};

const appOptions: Readonly<Record<keyof AppOptions, true>> = {
  ...applicationOptions,
  config: true,
  env: true,
  log: true,
  dns: true,
  worker: true,
};

/** @throws DeclarationError */
export function checkApplication(application: Application): void {
  refuse(
    problemsOf("defineApp", application, applicationOptions, (given) => [
      ...(given.features === undefined ? ["features are missing: list them"] : []),
      ...applicationProblems(given),
    ]),
  );
}

/**
 * @param more names of the caller's own options
 * @throws DeclarationError
 */
export function checkAppOptions(
  options: AppOptions,
  caller = "createApp",
  more: Readonly<Record<string, true>> = {},
): void {
  refuse(
    problemsOf(caller, options, { ...appOptions, ...more }, (given) => [
      ...applicationProblems(given),
      ...(given.config === undefined ? [] : configProblems(given.config)),
    ]),
  );
}

type Given = Readonly<Record<string, unknown>>;

function problemsOf(
  caller: string,
  options: unknown,
  known: Readonly<Record<string, true>>,
  check: (given: Given) => readonly string[],
): string[] {
  if (typeof options !== "object" || options === null || options instanceof Promise) {
    return [`${caller}: its options are ${describeValue(options)}`];
  }
  const given = options as Given; // checked above
  return [...unknownNames(given, Object.keys(known)), ...check(given)].map(
    (problem) => `${caller}: ${problem}`,
  );
}

const applicationProblems = ({ name, features, settings, retired }: Given): string[] => [
  ...(name === undefined || (typeof name === "string" && name.trim())
    ? []
    : ["name is not a non-empty string"]),
  ...(features === undefined ? [] : featuresProblems(features)),
  ...(settings === undefined || typeof Reflect.get(Object(settings), "check") === "function"
    ? []
    : [`settings is ${describeValue(settings)}; make it with tenantSettings()`]),
  ...(retired === undefined ||
  (Array.isArray(retired) && retired.every((each) => typeof each === "string"))
    ? []
    : ["retired is not a list of feature names"]),
];

function featuresProblems(features: unknown): string[] {
  if (!Array.isArray(features)) {
    return [
      isFeature(features)
        ? "features is a feature; put it into a list"
        : `features is ${describeValue(features)}; give a list of features`,
    ];
  }
  return Array.from(features, (each: unknown, index) =>
    isFeature(each)
      ? []
      : [`features[${index}] is ${describeValue(each)}; give what feature() returns`],
  ).flat();
}

/** By its shape, because another copy of this package may have made it. */
const isFeature = (value: unknown): value is Feature =>
  typeof value === "object" &&
  value !== null &&
  ["name", "permissions", "routes", "jobs", "hooks"].every((member) => member in value);

function configProblems(config: unknown): string[] {
  if (typeof config !== "object" || config === null)
    return [`config is ${describeValue(config)}; give an object of settings`];
  return unknownNames(config, Object.keys(loadConfig({}))).map((problem) => `config.${problem}`);
}

/**
 * Reads the features' migrations, after checking everything that the features declare.
 *
 * @param retired names of features that the application no longer has
 * @throws DeclarationError
 */
export async function loadDeclared(
  features: readonly Feature[],
  retired?: readonly string[],
): Promise<Migrations> {
  refuse(featuresProblems(features));
  const problems = declarationProblems(features);
  const migrations = await collecting(problems, () => loadMigrations(features, retired));
  if (problems.length > 0 || !migrations) throw new DeclarationError([...new Set(problems)]);
  return migrations;
}
