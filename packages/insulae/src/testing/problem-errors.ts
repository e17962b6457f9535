import type { Feature } from "../kernel/feature/feature.ts";

/** The features with all errors as problem+json, for tests that read codes. */
export const withProblems = (features: readonly Feature[]): Feature[] =>
  features.map((feature) => ({
    ...feature,
    routes: feature.routes.map(({ options: { errorShape: _shape, ...options }, ...route }) => ({
      ...route,
      options,
    })),
  }));
