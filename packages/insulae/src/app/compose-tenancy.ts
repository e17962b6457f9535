/** Composes tenants: their catalogue, hosts, placements and life cycle. */
import { createExamine } from "../doctor/doctor.ts";
import type { Announcements } from "../kernel/announcements/announcements.ts";
import type {
  DataServices,
  RecordingServices,
  TenancyServices,
} from "../kernel/feature/capabilities.ts";
import { createMoveRunner, type MoveRunner, watchMoves } from "../kernel/moves/move-runner.ts";
import { createMover, type Mover } from "../kernel/moves/mover.ts";
import { createMoves } from "../kernel/moves/moves.ts";
import type { Dns } from "../kernel/net/dns.ts";
import { moduleLog } from "../kernel/telemetry/log.ts";
import type { Catalogue } from "../kernel/tenancy/catalogue.ts";
import { createDataPlaces } from "../kernel/tenancy/data-places.ts";
import { createHosts } from "../kernel/tenancy/hosts.ts";
import { createIsolationProbes } from "../kernel/tenancy/isolation-probes.ts";
import { createIsolationReport } from "../kernel/tenancy/isolation-report.ts";
import { createTenantConfigs } from "../kernel/tenancy/tenant-config.ts";
import type { TenantSettings } from "../kernel/tenancy/tenant-settings.ts";
import { createTenants } from "../kernel/tenancy/tenants.ts";
import { createHostCertificates } from "../kernel/tls/host-certificates.ts";
import type { Installation } from "./installation.ts";

export interface ComposedTenancy {
  readonly services: TenancyServices;
  readonly mover: Mover;
  /** Not started. */
  readonly moveRunner: MoveRunner;
  close(): void;
}

export interface TenancyParts {
  readonly catalogue: Catalogue;
  readonly storage: DataServices["storage"];
  readonly audit: RecordingServices["audit"];
  readonly dns: Dns;
  /** The application's own tenant settings. */
  readonly settings: Pick<TenantSettings<unknown>, "check"> | undefined;
}

export function composeTenancy(
  installation: Installation,
  announcements: Announcements,
  { catalogue, storage, audit, dns, settings }: TenancyParts,
): ComposedTenancy {
  const { config, control, redis, servers, log } = installation;
  const { follow } = announcements;
  const refreshServers = (id?: string) =>
    void servers.refresh(id).catch((error: unknown) => {
      log.warn({ err: error }, "Could not reload the servers' URLs");
    });
  follow({ server: refreshServers, anything: () => refreshServers() });
  const configs = createTenantConfigs({ redis, catalogue, follow });
  const certificates = createHostCertificates({ control, secrets: installation.secrets, follow });
  const movesLog = moduleLog(log, "tenancy");
  const mover = createMover({
    ...installation,
    forget: catalogue.forget,
    audit,
    log: movesLog,
    ...watchMoves(installation.metrics, control),
  });
  return {
    services: {
      moves: createMoves(installation),
      tenants: createTenants({
        control,
        catalogue,
        configs,
        provisioning: installation.provisioning,
        places: createDataPlaces({
          ...installation,
          storage,
          announceErased: announcements.announceErased,
        }),
        audit,
        baseDomain: config.baseDomain,
        checkSettings: settings?.check,
        defaultPlan: config.defaultPlan,
        deletedTenantDays: config.deletedTenantDays,
        log: moduleLog(log, "tenancy"),
      }),
      hosts: createHosts({ control, catalogue, certificates, baseDomain: config.baseDomain }),
      certificates,
      dns,
      servers,
      plans: installation.plans,
      isolation: {
        probe: createIsolationProbes({ ...installation, table: probedTable(installation) }),
        report: createIsolationReport(installation),
      },
      examine: createExamine(installation),
    },
    mover,
    moveRunner: createMoveRunner(control, mover, movesLog),
    close: () => configs.close(),
  };
}

/** Contacts, which people can see in the API as well; users, where an application has no contacts. */
const probedTable = ({ features }: Installation) =>
  features.some(({ name }) => name === "contacts")
    ? { name: "contacts", column: "name" }
    : { name: "users", column: "email" };
