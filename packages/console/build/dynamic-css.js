/**
 * Takes the place of `@rc-component/util/…/Dom/dynamicCSS`, through which antd writes CSS at run
 * time: into constructed style sheets instead of `<style>` elements, which the page's
 * Content-Security-Policy forbids.
 */
const sheets = new Map();
const own = new WeakSet();
let made = 0;

const rankOf = ({ prepend, priority = 0 }) => {
  if (prepend === "queue") return priority * 1e3 - 1e6;
  return prepend ? -1e9 : 0;
};

function adopt() {
  const ordered = [...sheets.values()].sort((a, b) => a.rank - b.rank || a.order - b.order);
  const others = document.adoptedStyleSheets.filter((sheet) => !own.has(sheet));
  document.adoptedStyleSheets = [...ordered.map(({ sheet }) => sheet), ...others];
}

/** @returns an element that is in no document: some callers set attributes of it. */
export function updateCSS(css, key, option = {}) {
  const id = `${option.mark ?? ""}|${key}`;
  let entry = sheets.get(id);
  if (!entry) {
    made += 1;
    entry = {
      sheet: new CSSStyleSheet(),
      css: undefined,
      rank: rankOf(option),
      order: made,
      element: document.createElement("style"),
    };
    own.add(entry.sheet);
    sheets.set(id, entry);
    adopt();
  }
  if (entry.css !== css) entry.sheet.replaceSync(css);
  entry.css = css;
  return entry.element;
}

export const injectCSS = (css, option = {}) => updateCSS(css, `anonymous-${made}`, option);

export function removeCSS(key, option = {}) {
  if (sheets.delete(`${option.mark ?? ""}|${key}`)) adopt();
}

export function clearContainerCache() {}
