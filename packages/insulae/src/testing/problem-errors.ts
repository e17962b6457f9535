import type { Feature } from "../kernel/feature/feature.ts";

/** The features with errors as problem+json on every route, for tests that read their codes. */
export const withProblems = (features: readonly Feature[]): Feature[] =>
  features.map((feature) => ({
    ...feature,
    routes: feature.routes.map(({ options: { errorShape: _shape, ...options }, ...route }) => ({
      ...route,
      options,
    })),
  }));
