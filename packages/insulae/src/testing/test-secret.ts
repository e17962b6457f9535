/**
 * The master secret of all tests of a run. They share a PostgreSQL and its roles, whose passwords
 * are derived from it.
 */
export const testMasterSecret = "the master secret of all tests, which share the server's roles";
