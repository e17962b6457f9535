/** The template of `create-insulae`, as far as it can be checked without creating a project. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { shutdownTimes } from "../packages/insulae/src/app/shutdown.ts";
import { isSetting } from "../packages/insulae/src/config/config.ts";

const template = "packages/create-insulae/template";
const read = (file: string): string => readFileSync(join(template, file), "utf8");
const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

test("uses the tools that this repository is tested with", () => {
  const { devDependencies } = manifestOf(template);
  const ours = manifestOf(".").devDependencies;
  expect(devDependencies).toEqual({
    "@types/node": ours["@types/node"],
    typescript: manifestOf("scripts").dependencies["typescript-7"].replace("npm:typescript@", ""),
    vitest: ours.vitest,
  });
});

test("has the same version as the packages it is published with", () => {
  const versions = ["insulae", "client", "create-insulae"].map(
    (name) => manifestOf(`packages/${name}`).version,
  );
  expect(new Set(versions).size).toBe(1);
  const engines = ["packages/insulae", "packages/create-insulae", template].map(
    (folder) => manifestOf(folder).engines.node,
  );
  expect(new Set(engines).size).toBe(1);
});

test("imports only Insulae's public API", () => {
  const specifiers = globSync("**/*.ts", { cwd: template }).flatMap((file) =>
    [...read(file).matchAll(/from "([^".][^"]*)"/g)].map(([, specifier]) => specifier),
  );
  expect([...new Set(specifiers)].sort()).toEqual([
    ...["insulae", "insulae/testing", "vitest", "vitest/config"],
  ]);
});

test("uses only existing settings", () => {
  const names = [...read(".env.example").matchAll(/^#([A-Z_]+)=/gm)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !isSetting(name))).toEqual([]);
});

describe("its Dockerfile", () => {
  const text = read("Dockerfile").replaceAll("\\\n", " ");

  test("builds on the same image as the server's own", () => {
    const version = /^ARG NODE=(\S+)$/m;
    const [, ours] = version.exec(readFileSync("deploy/Dockerfile", "utf8")) ?? [];
    expect(version.exec(text)?.[1]).toBe(ours);
    for (const [, image] of text.matchAll(/^FROM (\S+)/gm)) {
      expect(image).toBe("node:$" + "{NODE}-trixie-slim");
    }
  });

  test("runs as a user who is not root, with a health check", () => {
    const [, last = ""] = text.split(/^FROM (?=\S+\n)/m);
    expect(last).toMatch(/^USER 1000:1000$/m);
    expect(last).toMatch(/^HEALTHCHECK .*\/health\/live/m);
  });
});

describe("its deploy/kubernetes.yaml", () => {
  // biome-ignore lint/suspicious/noExplicitAny: manifests, whose shape is what the tests are about
  const objects: any[] = parseAllDocuments(read("deploy/kubernetes.yaml")).map((one) => one.toJS());
  const ofKind = (kind: string) => objects.filter((object) => object.kind === kind);
  const pods = ["Job", "Deployment"].flatMap(ofKind).map(({ spec }) => spec.template.spec);

  test("migrates in a job, and serves in a deployment", () => {
    expect(pods.map(({ containers }) => containers[0].args)).toEqual([
      ["migrate", "up"],
      ["start"],
    ]);
  });

  test("sets only existing settings, and no secrets", () => {
    const names = ofKind("ConfigMap").flatMap(({ data }) => Object.keys(data));
    expect(names.filter((name) => !isSetting(name))).toEqual([]);
    expect(names.filter((name) => /SECRET|PASSWORD|TOKEN|DATABASE/.test(name))).toEqual([]);
    expect(ofKind("Secret")).toEqual([]);
  });

  test("confines every container: no root, no privileges, read-only except for /tmp", () => {
    for (const { containers, securityContext, automountServiceAccountToken } of pods) {
      expect(automountServiceAccountToken).toBe(false);
      expect(securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(containers).toMatchObject([
        {
          resources: { limits: { memory: expect.any(String) } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
        },
      ]);
    }
  });

  test("uses the health routes, and gives a stopping server enough time", () => {
    const [, server] = pods;
    expect(server.containers[0]).toMatchObject({
      livenessProbe: { httpGet: { path: "/health/live", port: "http" } },
      readinessProbe: { httpGet: { path: "/health/ready", port: "http" } },
    });
    const { deadlineMs } = shutdownTimes({ env: "production", drainSeconds: 5 });
    expect(server.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(deadlineMs);
  });
});
