import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createTestApp } from "../testing/index.ts";
import { makeCertificate } from "../testing/test-certificates.ts";
import { checkCertificates } from "./certificates.ts";

test("the doctor warns of certificates that expire soon, and finds unusable ones", async () => {
  const dir = await mkdtemp(join(tmpdir(), "insulae-doctor-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const config = { tlsCertFile: join(dir, "cert.pem"), tlsKeyFile: join(dir, "key.pem") };
  const app = await createTestApp();
  onTestFinished(() => app.close());
  const states = async () => {
    const checks = await app.withPlatform("a look", ({ control }) =>
      checkCertificates({ config, control }),
    );
    return checks.map(({ state }) => state);
  };

  const [short, long] = await Promise.all([
    makeCertificate({ hosts: ["short.example"], to: 5 }),
    makeCertificate({ hosts: ["long.example"], to: 90 }),
  ]);
  expect(await states()).toEqual(["failure", "ok"]);
  await writeFile(config.tlsCertFile, long.cert);
  await writeFile(config.tlsKeyFile, short.key);
  await app.hosts.register("long.example", { tls: long });
  expect(await states()).toEqual(["failure", "ok"]);
  await writeFile(config.tlsKeyFile, long.key);
  await app.hosts.register("short.example", { tls: short });
  expect(await states()).toEqual(["ok", "warning"]);
  await writeFile(config.tlsCertFile, short.cert);
  await writeFile(config.tlsKeyFile, short.key);
  expect(await states()).toEqual(["warning", "warning"]);
});
