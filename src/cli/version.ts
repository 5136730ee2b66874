/**
 * The version that `sessiondir --version` prints. A constant, so that nothing has to be read; a test compares it with
 * package.json.
 */
export const VERSION = "0.1.0";
