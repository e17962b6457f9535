import { type Caller, contactId, contactName, contactsPerTenant } from "./dataset.ts";

/**
 * Verifies a server's responses: a page of the caller's own newest contacts, one contact, a new
 * contact, and nothing of another tenant.
 *
 * @throws Error with the difference
 */
export async function checkAnswers(url: string, callers: readonly Caller[]): Promise<void> {
  const [first, second] = [callers[0], callers.at(-1)];
  if (!first || !second || first === second) throw new Error("two callers are needed");
  for (const { ordinal, token } of [first, second]) {
    const page = await ask(url, token, "/contacts?limit=25", 200);
    const names = Array.from({ length: 25 }, (_, i) => contactName(ordinal, contactsPerTenant - i));
    expect(page.items?.map(({ name }) => name).join(), names.join());
    expect(typeof page.next_cursor, "string");
    const one = await ask(url, token, `/contacts/${contactId(ordinal, 7)}`, 200);
    expect(one.name, contactName(ordinal, 7));
  }
  await ask(url, first.token, `/contacts/${contactId(second.ordinal, 7)}`, 404);
}

interface Answer {
  readonly name?: string;
  readonly items?: readonly { readonly name: string }[];
  readonly next_cursor?: string | null;
}

async function ask(url: string, token: string, path: string, status: number): Promise<Answer> {
  const answer = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
  const text = await answer.text();
  if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

function expect(found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`found ${found} where ${wanted} was expected`);
}
