import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { describeWith } from "../../testing/left-out.ts";
import { downloadOf, upload } from "../../testing/test-files.ts";

/** A disk of this size, which only an administrator of the machine can make. */
function mountDisk(bytes: number): { readonly folder: string; unmount(): void } | undefined {
  const folder = mkdtempSync(join(tmpdir(), "insulae-disk-"));
  const unmount = () => {
    spawnSync("umount", [folder]);
    rmSync(folder, { recursive: true, force: true });
  };
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder]);
  if (status === 0) return { folder, unmount };
  rmSync(folder, { recursive: true, force: true });
  return undefined;
}

const describeWithDisks = describeWith({
  name: "right to mount a disk",
  variable: "INSULAE_TEST_DISK",
  find() {
    const disk = mountDisk(65_536);
    disk?.unmount();
    return disk?.folder;
  },
});

describeWithDisks("a disk that is full", () => {
  it("costs the upload that no longer fits, and nothing else", async () => {
    const disk = mountDisk(2_000_000);
    if (!disk) throw new Error("the disk could be mounted a moment ago");
    mkdirSync(join(disk.folder, "files"));
    const app = await createTestApp({ config: { dataDir: disk.folder } });
    try {
      const member = await createMember(app);
      const kept = await upload(app, member, { content: "kept" });
      const { status, body } = await upload(app, member, { content: Buffer.alloc(3_000_000, "x") });
      expect([status, body.code]).toEqual([507, "storage_full"]);
      expect(readdirSync(join(disk.folder, "files", "unfinished"))).toEqual([]);
      expect(readdirSync(join(disk.folder, "files", member.tenant.id))).toEqual([kept.body.id]);
      expect((await member.call("GET", "/files?status=pending")).body.items).toEqual([]);
      const { statusCode, body: content } = await app.inject(
        await downloadOf(app, member, kept.body.id),
      );
      expect([statusCode, content]).toEqual([200, "kept"]);
      const again = await upload(app, member, { content: Buffer.alloc(1_000_000, "x") });
      expect(again.status).toBe(201);
    } finally {
      await app.close();
      disk.unmount();
    }
  });
});
