import { CreateBucketCommand, ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { expect, it } from "vitest";
import { describeWithMoto, startTestMoto } from "./test-moto.ts";

describeWithMoto("AWS for tests", () => {
  it("keeps its state until it is reset", async () => {
    const moto = await startTestMoto();
    const client = new S3Client({
      endpoint: moto.url,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
    });
    const buckets = async () => (await client.send(new ListBucketsCommand())).Buckets?.length ?? 0;
    try {
      await client.send(new CreateBucketCommand({ Bucket: "files" }));
      expect(await buckets()).toBe(1);
      await moto.reset();
      expect(await buckets()).toBe(0);
    } finally {
      client.destroy();
      await moto.stop();
    }
  });
});
