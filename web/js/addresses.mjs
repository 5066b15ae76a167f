// @ts-check
// The address of a gateway, as it is typed and as it is shown.

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;
/** A host, perhaps with a port and a path, and nothing in front of it. */
const WITHOUT_SCHEME = /^(\/\/)?(localhost|[\p{L}\d-]+(\.[\p{L}\d-]+)+|\[[\da-f:.]+\])\.?(:\d{1,5})?(\/\S*)?$/iu;

/**
 * The address that a text without https:// seems to mean; empty where it has one, or is none.
 * @param {string} text
 */
export function withScheme(text) {
  const match = WITHOUT_SCHEME.exec(text);
  if (!match) return "";
  const scheme = LOOPBACK.test(match[2] ?? "") ? "http" : "https";
  const url = `${scheme}://${text.replace(/^\/\//, "")}`;
  return URL.canParse?.(url) === false ? "" : url;
}

/**
 * The site of a gateway, where its users get their keys; null where there is none to link to.
 * @param {string} address
 * @returns {{ href: string, host: string } | null} `host` is what the link leads to: with the name in
 *   ASCII, and without what can stand before an @
 */
export function siteOf(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  const { protocol, host, hostname } = url;
  if (!["http:", "https:"].includes(protocol) || !host || LOOPBACK.test(hostname)) return null;
  return { href: `${protocol}//${host}/`, host };
}
