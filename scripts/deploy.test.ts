/**
 * The files in `deploy/`, as far as they can be checked without an engine: they can be parsed,
 * settings exist, images are pinned, and nothing runs as root.
 */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { shutdownTimes } from "../packages/insulae/src/app/shutdown.ts";
import { isSetting } from "../packages/insulae/src/config/config.ts";

type Value =
  | string
  | number
  | boolean
  | null
  | readonly Value[]
  | { readonly [key: string]: Value };
type Fields = { readonly [key: string]: Value };

const isFields = (value: Value | undefined): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const fieldsOf = (value: Value | undefined): Fields => (isFields(value) ? value : {});
const listOf = (value: Value | undefined): readonly Value[] => (Array.isArray(value) ? value : []);
const read = (path: string): string => readFileSync(path, "utf8");

/** A fixed version, not a moving tag. */
const pinned = /^[a-z0-9./_-]+:v?\d+\.\d+[\w.-]*$/;

const ofApplications = "packages/create-insulae/template/deploy";

describe.each(globSync(["deploy/compose.*.yml", `${ofApplications}/compose.yml`]))("%s", (file) => {
  const document: Fields = parse(read(file), { merge: true });
  const services = Object.entries(fieldsOf(document.services)).map(
    ([name, service]) => [name, fieldsOf(service)] as const,
  );
  const ours = services.filter(([, { build }]) => build !== undefined);

  test("sets only existing settings", () => {
    expect(ours.length).toBeGreaterThan(0);
    const names = ours.flatMap(([, { environment }]) => Object.keys(fieldsOf(environment)));
    expect(names.filter((name) => !isSetting(name) && !name.startsWith("INSULAE_TEST_"))).toEqual(
      [],
    );
  });

  test("pins the images that it doesn't build", () => {
    const images = services.filter(([, { build }]) => build === undefined);
    for (const [name, { image }] of images)
      expect([name, image]).toEqual([name, expect.stringMatching(pinned)]);
  });

  test("runs no container as root, except one that only changes owners", () => {
    const roots = services.filter(([name, { user, build }]) => {
      if (build !== undefined) return false; // built by the Dockerfile, below
      return user === undefined || /^(root|0)\b/.test(String(user)) ? name : false;
    });
    expect(roots.map(([name]) => name)).toEqual(file.includes("prod") ? ["prepare"] : []);
    for (const [, { cap_add, network_mode }] of roots) {
      expect({ cap_add, network_mode }).toEqual({ cap_add: ["CHOWN"], network_mode: "none" });
    }
  });

  test("mounts existing files, and waits for existing services", () => {
    const names = services.map(([name]) => name);
    for (const [, service] of services) {
      for (const name of Object.keys(fieldsOf(service.depends_on))) expect(names).toContain(name);
      for (const volume of listOf(service.volumes)) {
        const [source = ""] = String(volume).split(":");
        if (source.startsWith(".")) expect(existsSync(join(dirname(file), source))).toBe(true);
        else expect(Object.keys(fieldsOf(document.volumes))).toContain(source);
      }
    }
  });

  test("publishes ports to this machine only", () => {
    for (const [, { ports }] of services) {
      for (const port of listOf(ports)) expect(String(port)).toMatch(/^127\.0\.0\.1:/);
    }
  });
});

describe("compose", () => {
  const servicesOf = (name: string): Fields =>
    fieldsOf(fieldsOf(parse(read(`deploy/compose.${name}.yml`), { merge: true })).services);

  test.each(["dev", "prod"])("for %s has the server, its PostgreSQL and its Redis", (name) => {
    const services = servicesOf(name);
    const { environment, ports } = fieldsOf(services.insulae);
    expect(ports).toContain("127.0.0.1:8000:8000");
    expect(fieldsOf(environment)).toMatchObject({
      DATABASE_URL: expect.stringContaining("@postgres:5432/insulae"),
      REDIS_URL: expect.stringContaining("redis:6379/0"),
    });
    expect(fieldsOf(services.postgres)).toMatchObject({
      image: expect.stringMatching(/^postgres:/),
      volumes: expect.arrayContaining(["postgres:/var/lib/postgresql/data"]),
    });
    expect(fieldsOf(services.redis).image).toMatch(/^redis:/);
  });

  test("for development reloads changes", () => {
    const { command, volumes } = fieldsOf(servicesOf("dev").insulae);
    expect(command).toContain("--watch-path=packages/insulae/src");
    expect(String(volumes)).toContain("../packages/insulae/src:");
  });

  test("for tests has a PostgreSQL for them", () => {
    const settings = Object.values(servicesOf("test")).map((service) =>
      JSON.stringify(fieldsOf(service).environment ?? {}),
    );
    expect(settings.join()).toMatch(/INSULAE_TEST_DATABASE_URL":"postgresql:.*@postgres:5432/);
  });
});

describe("deploy/Dockerfile", () => {
  const instructions = read("deploy/Dockerfile")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const stages = instructions
    .join("\n")
    .split(/^(?=FROM )/m)
    .slice(1);

  test("builds on pinned images, and on its own stages", () => {
    const version = /^ARG NODE=(\S+)$/m.exec(instructions.join("\n"))?.[1];
    expect(version).toMatch(/^24\.\d+\.\d+$/);
    const names = stages.map((stage) => /^FROM \S+ AS (\w+)/.exec(stage)?.[1]);
    for (const stage of stages) {
      const [, from = ""] = /^FROM (\S+)/.exec(stage) ?? [];
      expect(names.includes(from) || pinned.test(from.replace(/\$\{NODE\}/, String(version)))).toBe(
        true,
      );
    }
  });

  test("leaves every stage to a user who is not root", () => {
    for (const stage of stages) {
      const users = [...stage.matchAll(/^USER (\S+)/gm)].map(([, user]) => user);
      const inherits = /^FROM (build|server)\b/.test(stage);
      expect(users.at(-1) ?? (inherits ? "1000:1000" : "root")).toBe("1000:1000");
    }
  });

  test("copies existing files", () => {
    const copied = instructions.flatMap((line) => {
      const [, sources] = /^COPY (?:--ch\S+ )*(?!--)(.+) \S+$/.exec(line) ?? [];
      return sources?.split(" ") ?? [];
    });
    expect(copied.length).toBeGreaterThan(1);
    for (const source of copied) expect([source, existsSync(source)]).toEqual([source, true]);
  });

  test("has the packages of this repository that the server needs, as they are built", () => {
    const { packages } = JSON.parse(read("package-lock.json"));
    const needed = Object.keys(packages["packages/insulae"].dependencies).filter(
      (name) => packages[`node_modules/${name}`]?.link,
    );
    expect(needed).toEqual(["@insulae/console"]);
    for (const name of needed) {
      const folder = packages[`node_modules/${name}`].resolved.replace("packages/", "");
      // npm leaves a link to a folder that the image doesn't have.
      expect(instructions).toContain(
        `COPY --from=build /insulae/build/${folder} node_modules/${name}`,
      );
    }
    expect(instructions.join("\n")).toMatch(/ rm -rf [^&]*node_modules\/@insulae /);
  });

  test("has a health check on the exposed port", () => {
    expect(instructions.join("\n")).toMatch(
      /^EXPOSE 8000 9000\n(?:.*\n)*HEALTHCHECK .*health-check\.mjs/m,
    );
  });
});

describe("deploy/kubernetes", () => {
  const folder = "deploy/kubernetes";
  const kustomization: Fields = parse(read(`${folder}/kustomization.yaml`));
  const objects = listOf(kustomization.resources).flatMap((file) =>
    parseAllDocuments(read(join(folder, String(file)))).map((document): Fields => document.toJS()),
  );
  const ofKind = (kind: string): readonly Fields[] =>
    objects.filter((object) => object.kind === kind);
  const podsOf = (object: Fields): Fields => {
    const spec = fieldsOf(object.spec);
    const template = fieldsOf(fieldsOf(fieldsOf(spec.jobTemplate).spec).template ?? spec.template);
    return fieldsOf(template.spec);
  };
  const pods = ["Deployment", "Job", "CronJob"].flatMap(ofKind).map(podsOf);
  const containers = pods.flatMap(({ containers }) => listOf(containers).map(fieldsOf));

  test("names all its files", () => {
    const files = globSync("*.yaml", { cwd: folder }).filter(
      (file) => file !== "kustomization.yaml",
    );
    expect([...listOf(kustomization.resources)].sort()).toEqual(files.sort());
  });

  test("sets only existing settings", () => {
    const names = ofKind("ConfigMap").flatMap(({ data }) => Object.keys(fieldsOf(data)));
    const own = containers.flatMap(({ env }) =>
      listOf(env).map((one) => String(fieldsOf(one).name)),
    );
    expect([...names, ...own].filter((name) => !isSetting(name))).toEqual([]);
  });

  test("contains no secrets, only references", () => {
    expect(ofKind("Secret")).toEqual([]);
    const texts = ofKind("ConfigMap").flatMap(({ data }) => Object.keys(fieldsOf(data)));
    expect(texts.filter((name) => /SECRET|PASSWORD|TOKEN|_URL$/.test(name))).toEqual([
      "PUBLIC_URL",
      "APP_URL",
    ]);
  });

  test("confines every container: no root, no privileges, read-only except for mounts", () => {
    expect(containers.length).toBe(3);
    for (const pod of pods) {
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      });
    }
    for (const container of containers) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(container.resources).toMatchObject({ limits: { memory: expect.any(String) } });
    }
  });

  test("takes images from the kustomization, which pins them", () => {
    const images = listOf(kustomization.images).map(fieldsOf);
    const names = images.map(({ name }) => name);
    for (const { image } of containers) expect(names).toContain(image);
    for (const { newName, newTag } of images) expect(`${newName}:${newTag}`).toMatch(pinned);
  });

  test("gives a stopping server enough time", () => {
    const [pod] = ofKind("Deployment").map(podsOf);
    const { deadlineMs } = shutdownTimes({ env: "production", drainSeconds: 5 });
    expect(Number(pod?.terminationGracePeriodSeconds) * 1_000).toBeGreaterThan(deadlineMs);
  });

  test("uses the health routes, and restricts the log port by policy", () => {
    const [server] = ofKind("Deployment")
      .map(podsOf)
      .flatMap(({ containers }) => listOf(containers));
    expect(server).toMatchObject({
      livenessProbe: { httpGet: { path: "/health/live", port: "http" } },
      readinessProbe: { httpGet: { path: "/health/ready", port: "http" } },
    });
    const policy = ofKind("NetworkPolicy").find(
      ({ metadata }) => fieldsOf(metadata).name === "server",
    );
    expect(fieldsOf(policy?.spec).ingress).toMatchObject([
      { ports: [{ port: 8000 }, { port: 9000 }] },
      { ports: [{ port: 8000 }] },
    ]);
  });
});

describe("deploy/aws", () => {
  const actionsIn = (file: string): string[] => {
    const { Statement }: Fields = JSON.parse(read(`deploy/aws/${file}`));
    return listOf(Statement).flatMap((statement) =>
      [fieldsOf(statement).Action ?? null].flat().map(String),
    );
  };
  /** The permission of each SDK request in the sources. */
  const taken: Readonly<Record<string, readonly string[]>> = {
    AbortMultipartUploadCommand: ["s3:AbortMultipartUpload"],
    CompleteMultipartUploadCommand: ["s3:PutObject"],
    CopyObjectCommand: ["s3:GetObject", "s3:PutObject"],
    CreateMultipartUploadCommand: ["s3:PutObject"],
    DeleteObjectsCommand: ["s3:DeleteObject"],
    GetObjectCommand: ["s3:GetObject"],
    HeadBucketCommand: ["s3:ListBucket"],
    // Without ListBucket, S3 reports missing objects as forbidden.
    HeadObjectCommand: ["s3:GetObject", "s3:ListBucket"],
    ListMultipartUploadsCommand: ["s3:ListBucketMultipartUploads"],
    ListObjectsV2Command: ["s3:ListBucket"],
    PutObjectCommand: ["s3:PutObject"],
    UploadPartCommand: ["s3:PutObject"],
    SendEmailCommand: ["ses:SendEmail", "ses:SendRawEmail"],
    PublishCommand: ["sns:Publish"],
    CreatePlatformEndpointCommand: ["sns:CreatePlatformEndpoint"],
    GetSecretValueCommand: ["secretsmanager:GetSecretValue"],
  };
  const sent = new Set(
    globSync("packages/insulae/src/**/*.ts")
      .filter((file) => !file.endsWith(".test.ts") && !file.includes("/testing/"))
      .map(read)
      .filter((text) => text.includes("@aws-sdk/"))
      .flatMap((text) =>
        [...text.matchAll(/\bnew (?:\w+\.)?(\w+Command)\(/g)].map(([, name = ""]) => name),
      ),
  );

  test("allows the server's requests to AWS, and nothing else", () => {
    expect([...sent].sort()).toEqual(Object.keys(taken).sort());
    expect([...new Set(actionsIn("server-policy.json"))].sort()).toEqual(
      [...new Set(Object.values(taken).flat())].sort(),
    );
    expect(actionsIn("migrate-policy.json")).toEqual(taken.GetSecretValueCommand);
  });
});

describe("deploy/proxy", () => {
  const believed = ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id", "Client-Cert"];

  test.each([
    ["nginx.conf", "proxy_set_header"],
    ["haproxy.cfg", "http-request (?:set|del)-header"],
  ])("%s forwards no client's header that the server trusts from a proxy", (file, how) => {
    const text = read(`deploy/proxy/${file}`);
    for (const name of [...believed, "Client-Cert-Chain"]) {
      expect(text).toMatch(new RegExp(`^ +${how} ${name}\\b(?!-)`, "m"));
    }
  });
});

describe("files with secrets, such as the production.env of docs/deploy.md", () => {
  const template = "packages/create-insulae/template";

  test.each([".gitignore", `${template}/gitignore`])("are excluded by %s", (file) => {
    expect(read(file).split("\n")).toEqual(
      expect.arrayContaining(["*.env", ".env.*", "!.env.example"]),
    );
  });

  test.each(["deploy/Dockerfile.dockerignore", `${template}/.dockerignore`])(
    "are excluded by %s",
    (file) => {
      expect(read(file).split("\n")).toEqual(expect.arrayContaining(["**/*.env", "**/.env.*"]));
    },
  );

  test.each(["docs/deploy.md", `${template}/README.md`])(
    "have no default password in %s",
    (file) => {
      expect(read(file)).not.toMatch(/^\w*(PASSWORD|SECRET|TOKEN|KEY)=/m);
    },
  );
});

describe("commands in docs/runbooks and docs/deploy.md", () => {
  const pages = [...globSync("docs/runbooks/*.md"), "docs/deploy.md", "docs/aws.md"];
  const commands = pages.flatMap((page) =>
    [...read(page).matchAll(/^```sh\n(.*?)^```/gms)]
      .flatMap(([, block = ""]) => block.replaceAll("\\\n", " ").split("\n"))
      .map((line) =>
        /^(?:.* exec insulae )?insulae ((?:[a-z]+ ?)+)/
          .exec(line.replace(/\s#.*$/, ""))?.[1]
          ?.trim(),
      )
      .filter((command) => command !== undefined)
      .map((command) => command.split(" ")),
  );

  test.each([...new Set(commands.map((words) => words.slice(0, 2).join(" ")))])(
    "insulae %s exists",
    (command) => {
      const output = execFileSync(
        process.execPath,
        ["packages/insulae/src/cli/main.ts", ...command.split(" "), "--help"],
        { encoding: "utf8" },
      );
      // An unknown word prints the help of the parent command.
      expect(output).toContain(`Usage: insulae ${command}`);
    },
  );
});
