/** What a tenant sees of receivers that don't answer as HTTP asks for. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bodyMisdeeds, httpMisdeeds, openHostilePeer } from "../../testing/hostile-peer.ts";
import type { TestPeople } from "../../testing/test-people.ts";
import { newHooks, openWebhookPeople } from "./receiver-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openWebhookPeople();
});
afterAll(() => people?.close());

describe("a receiver that", () => {
  it.each([
    ["answers 101", /not valid HTTP/],
    ["answers 103 now and then", /not valid HTTP/],
    ["answers 999", /not valid HTTP/],
    ["sends noise for ever", /not valid HTTP/],
    ["closes at once", /interrupted/],
    ["closes in the head", /interrupted|not valid HTTP/],
  ])("%s has failed an attempt, and the delivery says why", async (name, why) => {
    const hooks = await newHooks(people);
    const misdeed = httpMisdeeds[name];
    if (!misdeed) throw new Error(`no misdeed is called ${name}`);
    const peer = await openHostilePeer(misdeed);
    const { id } = await hooks.add(peer.url);
    const tested = await people.post(`/api/v1/webhooks/${id}/test`, hooks.as);
    expect(tested.body).toMatchObject({ state: "failed", reason: expect.stringMatching(why) });
    await hooks.happen();
    const waits = { state: "waiting", attempts: 1 };
    expect((await hooks.delivery(id, waits)).reason).toMatch(why);
    await hooks.settled(id);
  });

  it.each(Object.entries(bodyMisdeeds))(
    "answers 200 and %s has the event, once",
    async (_, misdeed) => {
      const hooks = await newHooks(people);
      const peer = await openHostilePeer(misdeed);
      const { id } = await hooks.add(peer.url);
      await hooks.happen();
      const delivered = await hooks.delivery(id, { state: "delivered" });
      expect(delivered).toMatchObject({ attempts: 1, response_status: 200, reason: null });
    },
  );
});
