/** `sessiondir/doctor`: what is wrong with a store, and the way out. */
export { examineStateDirectory, examineStore } from "../care/doctor/examine.js";
export type { AgentReport } from "../care/doctor/examine.js";
export type {
  Action,
  CheckReport,
  DoctorLevel,
  DoctorOptions,
  DoctorReport,
  Finding,
  FindingCode,
  Severity,
  Verdict,
} from "../care/doctor/types.js";
