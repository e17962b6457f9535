/** What becomes of requests and connections when a server in production is told to stop. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { files } from "../src/features/files/files.feature.ts";
import { openTestPeople } from "../src/testing/test-people.ts";

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket.setEncoding("latin1").on("error", () => {});
}

test("a slow upload in flight is finished, and an idle connection holds nothing up", async () => {
  const people = await openTestPeople({ features: [files] });
  onTestFinished(() => people.close());
  const acme = await people.app.tenants.create({ key: "acme", name: "Acme" });
  const account = await people.newAccount();
  await people.makeOwner(acme, account.account);
  const { token } = await people.logIn(acme, account.account.email);
  const node = await people.openNode({
    env: "production",
    baseDomain: "example.com",
    drainSeconds: 0,
  });
  const port = Number(new URL(await node.listen({ port: 0, host: "127.0.0.1" })).port);
  onTestFinished(() => node.close());

  const idle = await open(port);
  idle.write("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await once(idle, "data");
  const idleClosed = once(idle, "close");

  const content = "x".repeat(20);
  const head =
    '--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n';
  const tail = "\r\n--b--\r\n";
  const upload = await open(port);
  let answer = "";
  upload.on("data", (text) => {
    answer += text;
  });
  const uploaded = once(upload, "close");
  upload.write(
    `POST /api/v1/files/upload HTTP/1.1\r\nhost: localhost\r\nx-tenant: acme\r\nauthorization: Bearer ${token}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: ${head.length + content.length + tail.length}\r\nexpect: 100-continue\r\n\r\n`,
  );
  await once(upload, "data");
  expect(answer).toMatch(/^HTTP\/1.1 100 /);
  upload.write(head);

  const closed = node.close();
  await idleClosed;
  // Two seconds: what a server in development gives is over.
  for (const character of content) {
    await sleep(100);
    upload.write(character);
  }
  upload.write(tail);
  await uploaded;
  await closed;
  expect(answer).toMatch(/HTTP\/1.1 201 /);
});
