/**
 * A person's own editor on a text, in a file that nobody else can read.
 *
 * The file is in a new folder of the system's temporary one. It is removed only when its text is of no use any more: whatever goes wrong
 * before that, what the person wrote is still there.
 */
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFile, readRegularFile } from "../fs/regular-file.js";
import { nodeFileSystem as fs } from "../fs/node-file-system.js";
import { systemRuntime } from "../runtime.js";
import { CliError, EXIT } from "./failure.js";

/** As for what is read from standard input. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;

export class EditedFile {
  private constructor(
    private readonly folder: string,
    readonly path: string,
  ) {}

  /** @param name Of the file; many editors show colours by its ending. */
  static async make(name: string, text: string): Promise<EditedFile> {
    const folder = join(tmpdir(), `sessiondir-${systemRuntime.randomName(8)}`);
    fs.mkdir(folder); // fails if it is there: nobody else can have prepared it
    const path = join(folder, name);
    await createFile(fs, path, Buffer.from(text), { sync: false });
    return new EditedFile(folder, path);
  }

  /** Resolves when the editor has ended. @throws `editor_failed` */
  async edit(): Promise<void> {
    const editor = process.env["VISUAL"] || process.env["EDITOR"] || "vi";
    // It may have arguments, as in "code --wait", so it is a shell's to read; the path is not.
    const child = spawn("/bin/sh", ["-c", `${editor} "$1"`, "sh", this.path], { stdio: "inherit" });
    const ended = await new Promise<number | string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(signal ?? code ?? 0));
    });
    if (ended === 0) return;
    const how = typeof ended === "number" ? `ended with code ${ended}` : `was ended by ${ended}`;
    throw new CliError(
      "editor_failed",
      `the editor (${editor}) ${how}, so nothing was written. Set $VISUAL or $EDITOR to the editor you want.`,
      { exitCode: EXIT.failure, data: { editor, path: this.path } },
    );
  }

  read(): Buffer {
    return readRegularFile(fs, this.path, { bytesMax: TEXT_BYTES_MAX });
  }

  /** With what the editor left beside it. Never throws: it is only a temporary folder. */
  remove(): void {
    try {
      for (const name of fs.readdir(this.folder)) fs.unlink(join(this.folder, name));
      fs.rmdir(this.folder);
    } catch {
      // The system removes it some day.
    }
  }
}
