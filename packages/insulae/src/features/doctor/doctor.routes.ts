import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { nullable, oneOf, time } from "../../kernel/feature/fields.ts";

const DoctorCheck = Type.Object(
  {
    name: Type.String(),
    state: oneOf(["ok", "warning", "failure"]),
    message: Type.String({ description: "What was found." }),
    remedy: nullable(Type.String({ description: "How to fix it." })),
  },
  { $id: "DoctorCheck" },
);

const Diagnosis = Type.Object(
  {
    running: Type.Boolean({ description: "A newer diagnosis is being made. Ask again." }),
    started_at: nullable(time("Null: there is no diagnosis yet.")),
    took_ms: nullable(Type.Integer()),
    checks: Type.Array(DoctorCheck),
  },
  { $id: "Diagnosis" },
);

export const doctorRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/platform/doctor",
    {
      permission: "platform",
      context: "core",
      summary: "Returns what the doctor's checks found: servers, isolation, migrations, leftovers",
      description:
        "What `insulae doctor` checks in an installation that is set up. One run at a time in each process; an answer waits for it for three seconds at most.",
      query: Type.Object({
        again: Type.Optional(
          Type.Boolean({ description: "Makes a new diagnosis, unless one is seconds old." }),
        ),
      }),
      response: Diagnosis,
    },
    async ({ platform, query: { again = false } }) => {
      const { last, isRunning } = await platform.examine({ again });
      return {
        running: isRunning,
        started_at: last?.startedAt ?? null,
        took_ms: last?.tookMs ?? null,
        checks: (last?.checks ?? []).map(({ remedy = null, ...check }) => ({ ...check, remedy })),
      };
    },
  ),
];
