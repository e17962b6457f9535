// Before anything is painted: the theme that was chosen in this browser, or the system's.
let chosen;
try {
  chosen = localStorage.getItem("insulae.theme");
} catch {}
document.documentElement.dataset.theme =
  chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
