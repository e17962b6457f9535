/** The public API for tests, `insulae/testing`. See docs/testing.md. */
import "../kernel/lib/supported-node.ts";

export { createTestApp, type TestApp, type TestAppOptions, type TestMail } from "./test-app.ts";
export type { TestClient, TestReply, TestRequest } from "./test-client.ts";
export { createTestDatabase, type TestDatabase, type TestTemplate } from "./test-database.ts";
export {
  type NewTestTenant,
  type NewTestUser,
  type TestAccount,
  type TestTenant,
  type TestUser,
  testPassword,
} from "./test-tenants.ts";
