import { describe, expect, it, vi } from "vitest";
import { keepTrying } from "./keep-trying.ts";

const away = (attempt: number) => new Error(`the database is away, ${attempt}`);

describe.concurrent("noting what has been done outside", () => {
  it("goes on when it fails, until it is noted", async () => {
    const note = vi.fn(async () => "noted");
    note.mockRejectedValueOnce(away(1)).mockRejectedValueOnce(away(2));
    expect(await keepTrying(note)).toBe("noted");
    expect(note).toHaveBeenCalledTimes(3);
  });

  it("ends with the last error after seven attempts", async () => {
    let attempts = 0;
    const note = () => {
      attempts += 1;
      return Promise.reject(away(attempts));
    };
    await expect(keepTrying(note)).rejects.toThrow("the database is away, 7");
    expect(attempts).toBe(7);
  });

  it("ends at once when it is not worth it any more", async () => {
    const note = vi.fn(() => Promise.reject(away(1)));
    await expect(keepTrying(note, () => false)).rejects.toThrow("the database is away, 1");
    expect(note).toHaveBeenCalledTimes(1);
  });
});
