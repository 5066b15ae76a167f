// @ts-check

/**
 * The text of whatever was thrown.
 * @param {unknown} error
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Whatever was thrown, as an error.
 * @param {unknown} error
 */
export function asError(error) {
  return error instanceof Error ? error : new Error(String(error));
}
