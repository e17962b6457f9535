/** Where the console and its server are. The server sets the page's `<base>`. */

const base = new URL(document.baseURI);

/** The path of the console, such as `/console/`. */
export const consolePath = base.pathname;

/** The server's address, without a slash at its end. */
export const serverUrl = new URL("..", base).href.replace(/\/$/, "");

/** An address of the console. @param path below it, without a slash in front */
export const consoleUrl = (path: string): string => new URL(path, base).href;
