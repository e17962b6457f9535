// @ts-check
/** Copies the commands above each button; selects them where a page may not copy, as over http from another machine. */
for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", async () => {
    const commands = button.closest(".copy")?.querySelector("pre");
    if (!commands) return;
    try {
      await navigator.clipboard.writeText(commands.textContent ?? "");
      button.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(commands);
      button.textContent = "Selected: copy it with the keyboard";
    }
  });
}
