// @ts-check
/**
 * For `--import`: a process whose syncs do nothing, like those of a store that forgot them. Tests of power cuts must
 * notice.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const nothing = (/** @type {number} */ _descriptor, /** @type {fs.NoParamCallback} */ done) =>
  setImmediate(done, null);
Object.assign(fs, { fsync: nothing, fdatasync: nothing, fsyncSync: () => {}, fdatasyncSync: () => {} });
syncBuiltinESMExports();
