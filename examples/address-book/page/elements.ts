/** The little that the page needs of the DOM. */

export function element(id: string): HTMLElement;
export function element<T extends HTMLElement>(id: string, kind: new () => T): T;
export function element(id: string, kind: new () => HTMLElement = HTMLElement): HTMLElement {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`there is no #${id}`);
  return found;
}

export function clear(...ids: readonly string[]): void {
  for (const id of ids) element(id).replaceChildren();
}

/** What was typed into a form; fields that are empty are left out. */
export function formValues(id: string): Record<string, string> {
  const entries = [...new FormData(element(id, HTMLFormElement))];
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (typeof value === "string" && value ? [[name, value]] : [])),
  );
}

/** A line of a list. As text: what others have typed is never markup. */
export function item(...texts: readonly string[]): HTMLLIElement {
  const made = document.createElement("li");
  made.append(
    ...texts.map((text) => {
      const part = document.createElement("span");
      part.textContent = text;
      return part;
    }),
  );
  return made;
}

/** Asks before something is done that can't be undone. */
export async function ask(question: string): Promise<boolean> {
  const dialog = element("confirm", HTMLDialogElement);
  const text = dialog.querySelector("p");
  if (text) text.textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}
