import { afterEach, describe, expect, it, vi } from "vitest";
import { keepCurrent } from "./snapshot.ts";

function setUp() {
  const state = { listening: true };
  const load = vi.fn(async () => {});
  return { state, load, copy: keepCurrent({ load, follow: () => () => state.listening }) };
}

afterEach(() => void vi.useRealTimers());

describe("a snapshot", () => {
  it("is loaded on first use, once for all callers, and then kept", async () => {
    const { copy, load } = setUp();
    await Promise.all([copy.ready(), copy.ready()]);
    expect(copy.ready()).toBeUndefined();
    expect(load).toHaveBeenCalledTimes(1);
  });

  it("is reloaded after a change", async () => {
    const { copy, load } = setUp();
    await copy.ready();
    copy.stale();
    expect(copy.ready()).toBeInstanceOf(Promise);
    await copy.ready();
    expect(copy.ready()).toBeUndefined();
    expect(load).toHaveBeenCalledTimes(2);
  });

  it("is loaded twice if it changes during the load", async () => {
    const { copy, load } = setUp();
    load.mockImplementationOnce(async () => copy.stale());
    await copy.ready();
    expect(load).toHaveBeenCalledTimes(2);
    expect(copy.ready()).toBeUndefined();
  });

  it("is valid for a second while announcements are not received", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const { copy, state, load } = setUp();
    state.listening = false;
    await copy.ready();
    vi.advanceTimersByTime(999);
    expect(copy.ready()).toBeUndefined();
    vi.advanceTimersByTime(1);
    await copy.ready();
    expect(load).toHaveBeenCalledTimes(2);
    // What was loaded without announcements expires even if they are received again.
    state.listening = true;
    vi.advanceTimersByTime(1_000);
    expect(copy.ready()).toBeInstanceOf(Promise);
    await copy.ready();
    expect(load).toHaveBeenCalledTimes(3);
  });

  it("is loaded again after a failure", async () => {
    const { copy, load } = setUp();
    load.mockRejectedValueOnce(new Error("the database is away"));
    await expect(copy.ready()).rejects.toThrow("away");
    await copy.ready();
    expect(copy.ready()).toBeUndefined();
  });
});
