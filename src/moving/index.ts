/** `sessiondir/moving`: sessions out of a store and into another one, keys and paths renamed. */
export { exportSessions } from "../care/moving/export.js";
export type { DamagedExport, ExportOptions, ExportReport } from "../care/moving/export.js";
export { exportToFile, importFromFile } from "../care/moving/export-file.js";
export type { ExportFileOptions, ExportFileReport, ImportFileOptions } from "../care/moving/export-file.js";
export { importSessions } from "../care/moving/import.js";
export type { ImportFault, ImportOptions, ImportReport } from "../care/moving/import.js";
export type { OnConflict } from "../care/moving/settle-session.js";
export { renameKey } from "../care/moving/rename-key.js";
export type { RenameOptions, RenameReport } from "../care/moving/rename-key.js";
export { renamePrefix } from "../care/moving/rename-prefix.js";
export type { RenamePrefixOptions } from "../care/moving/rename-prefix.js";
export { rewritePaths } from "../care/moving/rewrite.js";
export type { RewriteOptions, RewriteReport } from "../care/moving/rewrite.js";
export type { RewriteRule } from "../care/moving/rewrite-rule.js";
export type { AnyStore, Selection, WorkOptions } from "../care/moving/options.js";
