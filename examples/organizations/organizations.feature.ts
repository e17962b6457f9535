import {
  type ColumnType,
  feature,
  type JobScope,
  job,
  mailTemplate,
  makeTenant,
  Type,
  tenantExists,
  uuid,
} from "insulae";

interface ProjectTables {
  projects: { id: ColumnType<string, never, never>; name: string };
}

const firstProject = "Getting started";

const readyMail = mailTemplate<Record<never, never>>(
  {
    name: "organization_ready",
    about: "When an organization has what it begins with",
    subject: "{{ tenant }} is ready",
    body: ["Your organization is ready, with a project to get started.", "{{ link }}"],
    links: { link: "Sign in" },
  },
  (_variables, { link }) => ({ link: link("/login") }),
);

/** It may run twice, when a process dies in the middle of it: rather two mails than none. */
const setUp = job("organizations.set-up", {
  data: Type.Object({ owner: Type.String() }),
  async run({ owner }, { db, mail }: JobScope<ProjectTables>) {
    const begun = db.selectFrom("projects").select("id").where("name", "=", firstProject);
    if (await begun.executeTakeFirst()) return;
    await mail.send(readyMail, { to: owner, variables: {} });
    const project = db.insertInto("projects").values({ name: firstProject });
    await project.onConflict((conflict) => conflict.doNothing()).execute();
  },
});

const Key = Type.String({ minLength: 1, maxLength: 63, examples: ["acme"] });
const Organization = Type.Object({ id: uuid, key: Key, name: Type.String() });
const Project = Type.Object({ id: uuid, name: Type.String() });

/** Who has an account makes organizations, each a tenant with a database of its own. */
export const organizations = feature<ProjectTables>("organizations", {
  permissions: { "projects:read": "See projects" },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["projects"],
  mails: [readyMail],
  jobs: [setUp],
  routes: (r) => [
    r.post(
      "/organizations",
      {
        // Outside of all tenants: there, and only there, a handler has the platform.
        context: "core",
        permission: "authenticated",
        audit: "tenant.created",
        summary: "Makes an organization, which the account owns",
        body: Type.Object({ key: Key, name: Type.String({ minLength: 1, maxLength: 255 }) }),
        response: { 201: Organization },
        errors: [tenantExists],
      },
      async ({ platform, user, body }) => {
        const tenant = await makeTenant({ platform, user }, { ...body, isolation: "database" });
        await platform.withTenant(tenant, ({ jobs }) => jobs.send(setUp, { owner: user.email }));
        const { id, key, name } = tenant;
        return { id, key, name };
      },
    ),

    r.get(
      "/projects",
      {
        permission: "projects:read",
        summary: "Lists projects",
        response: Type.Object({ items: Type.Array(Project) }),
      },
      async ({ db }) => ({
        items: await db.selectFrom("projects").select(["id", "name"]).orderBy("id").execute(),
      }),
    ),
  ],
});
