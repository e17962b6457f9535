export { createTestDatabase, type TestDatabase, type TestTemplate } from "./test-database.ts";
