// @ts-check
// What is said about a video or a picture below it: duration, size in pixels, size of the file.

/** @typedef {{ seconds?: number, width?: number, height?: number, bytes?: number }} MediaFacts */

const UNITS = ["B", "kB", "MB", "GB"];

/**
 * The facts that are known, as one line.
 * @param {MediaFacts} facts
 * @param {string} language
 */
export function factsText({ seconds, width, height, bytes }, language) {
  const number = (/** @type {number} */ value, /** @type {number} */ digits) =>
    value.toLocaleString(language, { maximumFractionDigits: digits });
  return [
    isPositive(seconds) && `${number(seconds, 1)} s`,
    isPositive(width) && isPositive(height) && `${width} × ${height}`,
    isPositive(bytes) && sizeText(bytes, number),
  ]
    .filter(Boolean)
    .join(" · ");
}

/**
 * @param {number | undefined} value
 * @returns {value is number}
 */
function isPositive(value) {
  return value !== undefined && Number.isFinite(value) && value > 0;
}

/**
 * @param {number} bytes
 * @param {(value: number, digits: number) => string} number
 */
function sizeText(bytes, number) {
  const step = Math.min(Math.floor(Math.log10(bytes) / 3), UNITS.length - 1);
  return `${number(bytes / 1000 ** step, step > 1 ? 1 : 0)} ${UNITS[step]}`;
}

/**
 * Calls `onChange` with what becomes known about a file, until the element is gone.
 * @param {HTMLVideoElement | HTMLImageElement} media
 * @param {string} url
 * @param {(facts: MediaFacts) => void} onChange
 */
export async function watchFacts(media, url, onChange) {
  /** @type {MediaFacts} */
  let facts = {};
  /** @param {MediaFacts} more */
  const add = (more) => {
    facts = { ...facts, ...more };
    onChange(facts);
  };
  // A picture has the first event, a video the second.
  media.onload = () => {
    const { naturalWidth: width, naturalHeight: height } = /** @type {HTMLImageElement} */ (media);
    add({ width, height });
  };
  media.onloadedmetadata = () => {
    const { duration: seconds, videoWidth: width, videoHeight: height } = /** @type {HTMLVideoElement} */ (media);
    add({ seconds, width, height });
  };
  try {
    const { headers, ok } = await fetch(url, { method: "HEAD" });
    if (ok) add({ bytes: Number(headers.get("Content-Length") ?? 0) });
  } catch {
    // The player says what is wrong with the file.
  }
}
