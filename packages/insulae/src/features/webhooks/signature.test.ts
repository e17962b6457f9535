import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { newSecret, signedHeaders } from "./signature.ts";

const message = {
  id: "019c2f6e-8d5c-7c39-9c0f-3d8f0c1f7a11",
  payload: '{"type":"a.b","text":"é €"}',
};

describe("signed headers", () => {
  it("are those of Standard Webhooks' own library", () => {
    const secret = newSecret();
    const at = new Date();
    const headers = signedHeaders(message, [secret], at);
    expect(headers["webhook-signature"]).toBe(
      new Webhook(secret).sign(message.id, at, message.payload),
    );
    expect(new Webhook(secret).verify(message.payload, headers)).toEqual(
      JSON.parse(message.payload),
    );
  });

  const { error } = spawnSync("python3", ["--version"]);
  it.skipIf(error)("are verified by the Python of docs/webhooks.md", () => {
    const docs = readFileSync(new URL("../../../../../docs/webhooks.md", import.meta.url), "utf8");
    const [, code = ""] = /```python\n([\s\S]*?)```/.exec(docs) ?? [];
    const [old, secret] = [newSecret(), newSecret()];
    const headers = signedHeaders(message, [secret, old], new Date());
    const verify = (key: string, body: string, more: object = {}) => {
      const call =
        "import json, sys\nprint(verify(*[json.loads(a) for a in sys.argv[1:3]], sys.argv[3].encode()))";
      const told = [JSON.stringify(key), JSON.stringify({ ...headers, ...more }), body];
      const { stdout, stderr } = spawnSync("python3", ["-c", `${code}\n${call}`, ...told], {
        encoding: "utf8",
        env: { ...process.env, PYTHONUTF8: "1" },
      });
      return stdout.trim() || stderr;
    };
    expect([verify(secret, message.payload), verify(old, message.payload)]).toEqual([
      "True",
      "True",
    ]);
    const wrong = [
      verify(newSecret(), message.payload),
      verify(secret, `${message.payload} `),
      verify(secret, message.payload, { "webhook-timestamp": "1" }),
    ];
    expect(wrong).toEqual(["False", "False", "False"]);
  });
});
