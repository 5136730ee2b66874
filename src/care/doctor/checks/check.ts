/**
 * What a check is: one file each, with a name, how much it reads, and what it finds. What it repairs is in `fix/`.
 */
import type { Patient } from "../patient.js";
import type { DoctorLevel, Finding } from "../types.js";

export interface Check {
  readonly name: string;
  /** The least level at which it is done. */
  readonly level: DoctorLevel;
  /** Whether there is something to look at without `.store`. */
  readonly withoutStore?: true;
  /** Means nothing unless the format is known and the log can be read: until then they come first. */
  readonly needsLog?: true;
  /** Only reads. */
  look(patient: Patient): Promise<Finding[]> | Finding[];
}
