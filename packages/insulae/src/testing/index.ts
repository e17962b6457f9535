/** The public API for tests, `insulae/testing`. */
export { createTestApp } from "./test-app.ts";
export { createTestDatabase, type TestDatabase, type TestTemplate } from "./test-database.ts";
