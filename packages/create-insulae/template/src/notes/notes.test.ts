import { createTestApp, type TestApp } from "insulae/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import application from "../../insulae.config.ts";

let app: TestApp;

beforeAll(async () => {
  app = await createTestApp({ ...application });
});

afterAll(() => app?.close());

/** A signed-in user of a tenant of their own. */
const createUser = async () => (await app.createTenant()).createUser();

test("a note is written, listed, and shown with its comments", async () => {
  const ada = await createUser();
  const made = await ada.post("/notes", { title: "Lamps", text: "Two of them." });
  expect(made).toMatchObject({ status: 201, body: { title: "Lamps", text: "Two of them." } });
  const { id } = made.body;
  await ada.post(`/notes/${id}/comments`, { text: "Rather three." });
  await ada.post(`/notes/${id}/comments`, { text: "Bought." });

  const shown = await ada.get(`/notes/${id}`);
  expect(shown).toMatchObject({
    status: 200,
    body: { title: "Lamps", comments: [{ text: "Bought." }, { text: "Rather three." }] },
  });
  expect((await ada.get("/notes")).body.items).toEqual([made.body]);
});

test("notes are listed page by page, newest first", async () => {
  const ada = await createUser();
  for (const title of ["first", "second", "third"]) await ada.post("/notes", { title });
  const one = await ada.get("/notes?limit=2");
  expect(one.body.items).toMatchObject([{ title: "third" }, { title: "second" }]);
  const two = await ada.get(`/notes?limit=2&cursor=${one.body.next_cursor}`);
  expect(two.body).toMatchObject({ items: [{ title: "first" }], next_cursor: null });
});

test("a note has a title", async () => {
  const ada = await createUser();
  expect(await ada.post("/notes", { title: "" })).toMatchObject({ status: 400 });
});

test("another tenant can't see a note, list it or comment on it", async () => {
  const [ada, eve] = [await createUser(), await createUser()];
  const { id } = (await ada.post("/notes", { title: "Secret" })).body;

  expect((await eve.get("/notes")).body.items).toEqual([]);
  const unknown = "01900000-0000-7000-8000-000000000000";
  for (const foreign of [id, unknown]) {
    const errors = [
      await eve.get(`/notes/${foreign}`),
      await eve.post(`/notes/${foreign}/comments`, { text: "Found you." }),
    ];
    for (const error of errors) {
      expect(error).toMatchObject({ status: 404, body: { code: "note_not_found" } });
    }
  }
  expect((await ada.get(`/notes/${id}`)).body.comments).toEqual([]);
});
