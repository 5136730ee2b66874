// @ts-check
/** Mutants of the doctor's repairs, of backups, and of moving: what a person leans on when the rest has gone wrong. */
import { inFile } from "../suites.mjs";

const backup = (/** @type {readonly string[]} */ ...names) =>
  names.map((name) => `test/care/backup/${name}.test.ts`);
const doctor = (/** @type {readonly string[]} */ ...names) =>
  names.map((name) => `test/care/doctor/${name}.test.ts`);
const moving = (/** @type {readonly string[]} */ ...names) =>
  names.map((name) => `test/care/moving/${name}.test.ts`);

const CREATE = inFile("src/care/backup/create.ts", backup("increment", "places"), [
  {
    name: "a backup counts before all of it is read again",
    rule: "backup",
    find: `      await this.#verify(manifest, pace);
`,
    replace: ``,
  },
  {
    name: "a file that was written to while the backup before was made is taken as unchanged",
    rule: "backup",
    find: `unchangedSince: manifest.startedAt - CLOCK_MS`,
    replace: `unchangedSince: Number.POSITIVE_INFINITY`,
  },
  {
    name: "backups in a store are made",
    rule: "backup",
    find: `if (!inside(path, store) && !inside(store, path)) return;`,
    replace: `return;`,
    suites: backup("places"),
  },
  {
    name: "a manifest is written in its place, and not moved there",
    rule: "backup",
    find: `    const temporary = \`\${claim.path}/manifest.json\`;
    await createFile(fs, temporary, composeManifest(manifest), { sync: true });
    await fs.later.rename(temporary, this.folder.manifest(manifest.name));`,
    replace: `    await createFile(fs, this.folder.manifest(manifest.name), composeManifest(manifest), { sync: true });
    void claim;`,
    suites: backup("kills"),
  },
  {
    name: "a failed attempt keeps its claim",
    rule: "backup",
    find: `      await claim.release().catch(() => {}); // the next attempt, or prune, removes it
`,
    replace: ``,
    suites: backup("places"),
  },
]);

const CLAIMS = inFile("src/care/backup/claims.ts", backup("prune", "clocks-and-company"), [
  {
    name: "a backup that begins lets a prune go on",
    rule: "backup",
    find: `      if (statusNow(fs, sweeping)?.kind === "directory") await fence(host, sweeping);`,
    replace: ``,
  },
  {
    name: "a file among the claims is removed as a folder",
    rule: "backup",
    find: `if (status?.kind !== "directory") continue;`,
    replace: `if (status === undefined) continue;`,
    suites: backup("hostile"),
  },
  {
    name: "a claim counts as silent at once",
    rule: "backup",
    find: `if (silentMs >= SILENT_MS) {`,
    replace: `if (silentMs >= 0) {`,
    suites: backup("prune", "kills"),
  },
  {
    name: "a claim that is silent stays for ever",
    rule: "backup",
    find: `if (silentMs >= SILENT_MS) {`,
    replace: `if (silentMs >= SILENT_MS && silentMs < 0) {`,
  },
  {
    name: "a claim from the future stays there",
    rule: "backup",
    find: `if (silentMs < -SILENT_MS) await`,
    replace: `if (silentMs < -SILENT_MS && others === undefined) await`,
    suites: backup("clocks-and-company"),
  },
  {
    name: "a prune does not see that a backup is being made",
    rule: "backup",
    find: `    others = true;
`,
    replace: ``,
  },
]);

const VERIFY = [
  ...inFile("src/care/backup/check.ts", backup("hostile", "verify"), [
    {
      name: "a damaged piece is as good as another",
      rule: "backup",
      find: `if (!("bytes" in found)) return { ...found, path, file };`,
      replace: `if (!("bytes" in found)) return undefined;`,
    },
    {
      name: "a backup may have more or fewer files than it says",
      rule: "backup",
      find: `if (rows.size !== manifest.files && problems.length === 0) {`,
      replace: `if (rows.size < 0) {`,
      suites: backup("verify"),
    },
    {
      name: "pieces in another order are the file",
      rule: "backup",
      find: `(whole === undefined || whole.digest("hex") === sha256)`,
      replace: `(whole === undefined || sha256 !== "")`,
    },
  ]),
  ...inFile("src/care/backup/objects.ts", backup("verify"), [
    {
      name: "an object's content is not compared with its name",
      rule: "backup",
      find: `return hashOf(bytes) === hash
    ?`,
      replace: `return hash !== ""
    ?`,
    },
    {
      name: "what is damaged is not written anew",
      rule: "backup",
      find: `return this.known.has(hash) && !(this.damaged.has(hash) && !this.#made.has(hash));`,
      replace: `return this.known.has(hash);`,
      suites: backup("increment"),
    },
  ]),
  ...inFile("src/care/backup/verify.ts", backup("clocks-and-company"), [
    {
      name: "what a prune removes is told as damage",
      rule: "backup",
      find: `if (problemCount > 0 && statusNow(host.fs, folder.manifest(name)) === undefined) return undefined;`,
      replace: ``,
    },
  ]),
  ...inFile("src/care/backup/manifest.ts", backup("hostile", "verify"), [
    {
      name: "another store's backup is as good",
      rule: "backup",
      find: `return storeId === ofStore ? value :`,
      replace: `return storeId !== "" ? value :`,
    },
    {
      name: "a manifest's checksum is not looked at",
      rule: "backup",
      find: `!text.endsWith("\\n") || hashOf(Buffer.from(json)) !== text.slice(0, 64))`,
      replace: `!text.endsWith("\\n"))`,
      suites: backup("verify", "hostile"),
    },
  ]),
];

const RESTORE = [
  ...inFile("src/care/backup/restore.ts", backup("places", "hostile"), [
    {
      name: "a restore goes into a folder that has something in it",
      rule: "backup",
      find: `if (found !== undefined) throw taken(realPath, \`has something in it`,
      replace: `if (found === "") throw taken(realPath, \`has something in it`,
      suites: backup("dry-run"),
    },
    {
      name: "a restore goes into the inside of a store",
      rule: "backup",
      find: `  assertOutsideStores(fs, realPath);
  const status`,
      replace: `  const status`,
      suites: backup("hostile"),
    },
    {
      name: "what is damaged is restored",
      rule: "backup",
      find: `if (problem !== undefined) throw damaged(problem.path, problem.reason, manifest.name);`,
      replace: ``,
      suites: backup("verify", "kills"),
    },
    {
      name: "a store that has another revision counts as restored",
      rule: "backup",
      find: `revision === manifest.revision &&`,
      replace: `revision >= 0 &&`,
      suites: backup("hostile"),
    },
    {
      name: "a session that was lost before costs the backup",
      rule: "backup",
      find: `  if (known > 0) return true;
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {`,
      replace: `  for (let cursor: string | undefined, first = known < 0; first || cursor !== undefined; first = false) {`,
      suites: backup("missing"),
    },
    {
      name: "what a prune removes beside a restore is told as damage",
      rule: "backup",
      find: `if (!isDamage || statusNow(fs, folder.manifest(name)) !== undefined) return error;`,
      replace: `if (isDamage || statusNow(fs, folder.manifest(name)) !== undefined) return error;`,
      suites: backup("clocks-and-company"),
    },
    {
      name: "what a restore that failed has made stays",
      rule: "backup",
      find: `    await removeTree(host, building).catch(() => {}); // the next restore does
`,
      replace: ``,
    },
  ]),
  ...inFile("src/care/backup/rows.ts", backup("hostile"), [
    {
      name: "a list may name any path",
      rule: "backup",
      find: `typeof path !== "string" || !isStorePath(path)`,
      replace: `typeof path !== "string"`,
    },
    {
      name: "a list may name anything in a session's folder",
      rule: "backup",
      find: `return name === ENTRY_FILE || (partsOfChunkName(name) !== undefined && isName(name));`,
      replace: `return isName(name);`,
    },
    {
      name: "a list may name folders of the store's own",
      rule: "backup",
      find: `isName(name) && !name.startsWith(".")`,
      replace: `isName(name)`,
    },
  ]),
];

const PRUNE = inFile("src/care/backup/prune.ts", backup("prune", "clocks-and-company"), [
  {
    name: "the newest backup goes",
    rule: "backup",
    find: `if (newest !== undefined) kept.add(newest);`,
    replace: `void newest;`,
  },
  {
    name: "the newest good backup goes",
    rule: "backup",
    find: `if (good !== undefined) kept.add(good);`,
    replace: `void good;`,
  },
  {
    name: "a damaged backup stands for the good one of its day",
    rule: "backup",
    find: `names.filter((one) => whole.has(one)),`,
    replace: `names.filter((one) => !whole.has(one)),`,
    suites: backup("clocks-and-company"),
  },
  {
    name: "backups are of the day that their names say",
    rule: "backup",
    find: `times.get(name) ?? timeOfName(name)`,
    replace: `times.size < 0 ? 0 : timeOfName(name)`,
    suites: backup("clocks-and-company"),
  },
  {
    name: "a dry run of a prune removes",
    rule: "backup",
    find: `if (!dryRun) await removeManifests`,
    replace: `if (rules !== undefined) await removeManifests`,
  },
  {
    name: "contents of a backup that cannot be read go",
    rule: "backup",
    find: `if (typeof manifest === "string") return undefined;`,
    replace: `if (typeof manifest === "string") continue;`,
  },
  {
    name: "contents go while a backup is being made",
    rule: "backup",
    find: `if (await removeSilentClaims(host, folder)) return { freedBytes: 0, postponed: true };`,
    replace: `await removeSilentClaims(host, folder);`,
  },
  {
    name: "pieces of files are taken for what nobody needs",
    rule: "backup",
    find: `for (const hash of piecesOf(row)) objects.delete(hash);`,
    replace: `objects.delete(row.sha256);`,
    suites: backup("prune", "kills"),
  },
]);

const COPYING = [
  ...inFile("src/care/backup/copy-files.ts", backup("missing"), [
    {
      name: "a session whose file is missing is backed up without a word",
      rule: "backup",
      find: `    this.#tellMissing();
`,
      replace: ``,
    },
    {
      name: "a session that was deleted meanwhile is told as missing",
      rule: "backup",
      find: `isTold || this.store.isMentioned(folder)) continue;`,
      replace: `isTold) continue;`,
    },
    {
      name: "a session that cannot be read is told as missing as well",
      rule: "backup",
      suites: ["test/care/backup/unreadable.test.ts"],
      find: `this.#told.has(folder) || this.#lost.has(folder);`,
      replace: `this.#told.has(folder);`,
    },
    {
      name: "values that came while files were copied are left out",
      rule: "backup",
      find: `    await this.#copyBlobs();
    this.#assertReferences();`,
      replace: `    this.#assertReferences();`,
      suites: backup("create", "history"),
    },
  ]),
  ...inFile("src/care/backup/folder.ts", backup("clocks-and-company"), [
    {
      name: "a backup is called after a clock that was set back",
      rule: "backup",
      find: `Math.max(at, after)`,
      replace: `Math.max(at, after * 0)`,
    },
    {
      name: "a name that is no time is a backup's",
      rule: "backup",
      find: `NAME.test(name) && Number.isFinite(timeOfName(name))`,
      replace: `NAME.test(name)`,
      suites: backup("hostile"),
    },
  ]),
  ...inFile("src/care/backup/record.ts", backup("hostile"), [
    {
      name: "a record may have been made at any time",
      rule: "backup",
      find: `...(isCount(at) && at <= TIME_MAX && { at }),`,
      replace: `...(at !== undefined && { at }),`,
    },
  ]),
];

const REPAIRS = [
  ...inFile("src/care/doctor/fix/surgery.ts", doctor("outside"), [
    {
      name: "a link in the quarantine's place is put into where it leads",
      rule: "doctor",
      find: `if (path === layout.quarantine) return this.#renewQuarantine(patient, about);`,
      replace: ``,
    },
    {
      name: "what is put aside goes through a link",
      rule: "doctor",
      find: `    if (standing !== undefined && standing.kind !== "directory" && patient.options.alone === true)
      await this.#renewQuarantine(patient, { code: "link_found", cause: "it was no folder" });
    await ignoreExisting(fs.later.mkdir(layout.quarantine));
    assertFolder(fs, layout.quarantine); // through a link, things would be put wherever it leads`,
      replace: `    void standing;
    await ignoreExisting(fs.later.mkdir(layout.quarantine));`,
    },
    {
      name: "what is no file in the history's place stops the repairs",
      rule: "doctor",
      find: `    await this.#makeRoomForHistory(patient);
`,
      replace: ``,
    },
    {
      name: "things are moved without a note",
      rule: "doctor",
      find: `    // The note first: on a full disk nothing is moved then.
    await this.#note(patient, path, kept, about);`,
      replace: ``,
      suites: doctor("outside", "entries"),
    },
  ]),
  ...inFile("src/care/doctor/fix/foundations.ts", doctor("outside"), [
    {
      name: "a path is in the store that only begins like it",
      rule: "doctor",
      find: `(names === "" || names.startsWith("/")) &&`,
      replace: ``,
    },
    {
      name: "a path is in the store that leads out of it",
      rule: "doctor",
      find: ` && !names.split("/").includes(".."))`,
      replace: `)`,
    },
  ]),
  ...inFile("src/care/doctor/fix/files.ts", doctor("entries"), [
    {
      name: "an old file is put where its session's belongs",
      rule: "doctor",
      find: `if (isTruth && key !== undefined) moved.set(key, bytes);`,
      replace: `if (key !== undefined && isTruth !== undefined) moved.set(key, bytes);`,
    },
    {
      name: "a session that is given up stays in the catalog",
      rule: "doctor",
      find: `=== "lost") gone = true;`,
      replace: `=== "lost") gone = false;`,
    },
    {
      name: "a session that is given up is sought nowhere",
      rule: "doctor",
      find: `if (key !== undefined && !known) surgery.givenUp.set`,
      replace: `if (key !== undefined && known) surgery.givenUp.set`,
      suites: doctor("sources"),
    },
    {
      name: "values that were swapped stay so",
      rule: "doctor",
      find: `const bytes = findValue(patient, hash, swapped);`,
      replace: `const bytes = findValue(patient, hash, swapped.slice(0, 0));`,
      suites: doctor("values"),
    },
  ]),
  ...inFile("src/care/doctor/sources.ts", doctor("entries"), [
    {
      name: "an older copy is taken for what was lost",
      rule: "doctor",
      find: `if (found?.key === key && found.revision === revision)`,
      replace: `if (found?.key === key)`,
      suites: doctor("sources", "entries"),
    },
    {
      name: "any content is a value",
      rule: "doctor",
      find: `if (bytes !== undefined && hashOf(bytes) === hash)`,
      replace: `if (bytes !== undefined)`,
      suites: doctor("values"),
    },
  ]),
  ...inFile("src/care/doctor/fix/bring-back.ts", doctor("sources"), [
    {
      name: "an older state is told as what was lost",
      rule: "doctor",
      find: `const isSame = isCopy && found.revision === lost;`,
      replace: `const isSame = isCopy || found.revision === lost;`,
    },
    {
      name: "transcripts that are gone stay gone",
      rule: "doctor",
      find: `if ((await stateOf(to, key, transcript)) !== "none") continue;`,
      replace: `continue;`,
    },
    {
      name: "an export's state has the time of its unpacking",
      rule: "doctor",
      find: `isCopy ? found.modifiedAt : times?.get(key)`,
      replace: `isCopy || times !== undefined ? found.modifiedAt : undefined`,
    },
  ]),
  ...inFile("src/care/doctor/fix/transcripts.ts", doctor("sources"), [
    {
      name: "items come from a copy whose transcript was cut since",
      rule: "transcripts from copies",
      find: `if (there?.revision !== revision || there.cut !== cut) return [];`,
      replace: `if (there?.revision !== revision) return [];`,
    },
    {
      name: "items come from a copy whose transcript is another one",
      rule: "transcripts from copies",
      find: `if (there?.revision !== revision || there.cut !== cut) return [];`,
      replace: ``,
    },
    {
      name: "items come from another store",
      rule: "transcripts from copies",
      find: `if (storeId === undefined || storeIdIn(fs, new Layout(path)) !== storeId) return [];`,
      replace: ``,
    },
    {
      name: "items that were trimmed away come back",
      rule: "transcripts from copies",
      find: `const whole = ordered.slice(-length);`,
      replace: `const whole = ordered;`,
    },
    {
      name: "a copy's item stands over what is left",
      rule: "transcripts from copies",
      find: `new Map([...others, ...left].map(`,
      replace: `new Map([...others].map(`,
    },
  ]),
  ...inFile("src/care/doctor/unpack.ts", doctor("sources"), [
    {
      name: "what was unpacked stays",
      rule: "doctor",
      find: `for (const path of this.#made.splice(0)) await`,
      replace: `for (const path of this.#made.slice(0, 0)) await`,
    },
    {
      name: "another store's backups are a source",
      rule: "doctor",
      find: `if (storeId !== undefined && folder.storeId !== storeId)`,
      replace: `if (storeId !== undefined && folder.storeId === "")`,
    },
    {
      name: "a path where nothing is is a source",
      rule: "doctor",
      find: `if (status === undefined) throw notFound(path, "there is nothing at");`,
      replace: `if (status === undefined) return { path, kind: "copy", names: [] };`,
    },
  ]),
];

const MOVING = [
  ...inFile("src/care/moving/settle-session.ts", moving("import"), [
    {
      name: "an older session replaces a newer one",
      rule: "moving",
      find: `updatedAtOf(entry) > updatedAtOf(record.entry)`,
      replace: `updatedAtOf(entry) >= updatedAtOf(record.entry)`,
    },
    {
      name: "a session that is there is changed though nobody said so",
      rule: "moving",
      find: `if (onConflict === "fail") return "compare";`,
      replace: `if (onConflict === "fail") return "replace";`,
    },
    {
      name: "transcripts that the file does not have stay",
      rule: "moving",
      find: `if (!dryRun) await target.removeTranscript(key, { transcript });`,
      replace: ``,
    },
  ]),
  ...inFile("src/care/moving/read-export.ts", moving("import"), [
    {
      name: "a file that was cut is whole",
      rule: "moving",
      find: `    if (!this.#ended) {`,
      replace: `    if (!this.#ended && this.#line < 0) {`,
    },
    {
      name: "a file's checksum is not looked at",
      rule: "moving",
      find: `if (sha256 !== undefined && sha256 !== this.#hash.digest("hex"))`,
      replace: `if (sha256 !== undefined && sha256 === "")`,
    },
    {
      name: "a session that is not complete counts",
      rule: "moving",
      find: `if (this.#session === undefined || this.#skipping) return;`,
      replace: `if (this.#itemsLeft >= 0) return;`,
      suites: moving("hostile"),
    },
    {
      name: "an item of any depth is compared",
      rule: "moving",
      find: `if (typeof item === "object" && item !== null && nestsTooDeep(item))`,
      replace: `if (item === this)`,
      suites: moving("hostile"),
    },
    {
      name: "a key may have half a character",
      rule: "moving",
      find: `if (!isWellFormed(key))`,
      replace: `if (key === "")`,
      suites: moving("hostile"),
    },
  ]),
  ...inFile("src/care/moving/export-file.ts", moving("hostile"), [
    {
      name: "what does not count replaces what is there",
      rule: "moving",
      find: `if (event.kind === "abandon") calledOff.add(line);`,
      replace: `if (event.kind === "abandon") calledOff.add(-line);`,
    },
    {
      name: "a device is replaced by an export",
      rule: "moving",
      find: `if (kind === "directory" || kind === "other") throw`,
      replace: `if (kind === "directory") throw`,
    },
    {
      name: "a file that has come meanwhile is replaced where there are no links",
      rule: "moving",
      find: `    if (existsNow(fs, target)) throw fileExists(target);
    return false;`,
      replace: `    return false;`,
    },
  ]),
  ...inFile("src/care/moving/import.ts", moving("hostile"), [
    {
      name: "what a store does not take ends a salvage",
      rule: "moving",
      find: `if (this.options.salvage !== true) throw told;`,
      replace: `throw told;`,
    },
  ]),
  ...inFile("src/care/moving/rename-key.ts", moving("renaming", "kills"), [
    {
      name: "a session is renamed onto another one",
      rule: "moving",
      find: `if (replaced && !replace) throw existsUnder(to);`,
      replace: ``,
    },
    {
      name: "what was appended meanwhile is lost with the old key",
      rule: "moving",
      find: `await assertUnchanged(tx, from, snapshot);`,
      replace: ``,
    },
    {
      name: "the old session stays",
      rule: "moving",
      find: `await tx.delete(from);`,
      replace: ``,
    },
  ]),
  ...inFile("src/care/moving/rewrite-rule.ts", moving("hostile"), [
    {
      name: "the beginning of a name is a folder",
      rule: "moving",
      find: `path.startsWith(start) && /^(?:[/\\\\]|$)/.test(path.slice(start.length))`,
      replace: `path.startsWith(start)`,
      suites: moving("renaming"),
    },
    {
      name: "a path is moved once more each time",
      rule: "moving",
      find: ` || (isAt(to, from) && isAt(path, to))`,
      replace: ``,
    },
    {
      name: "a rule that changes nothing decides nothing",
      rule: "moving",
      find: `if (isAt(value, from)) decided.add(place);`,
      replace: `if (rewritePath(value, from, to) !== value) decided.add(place);`,
    },
  ]),
  ...inFile("src/care/moving/selected-keys.ts", moving("without-record"), [
    {
      name: "a folder without anything is a session",
      rule: "moving",
      find: `if ((await store.transcripts(key)).length > 0) yield key;`,
      replace: `yield key;`,
    },
    {
      name: "sessions without a record are left out",
      rule: "moving",
      find: `!given.has(key) && key.startsWith(prefix ?? "")`,
      replace: `!given.has(key) && key === prefix`,
    },
  ]),
];

export const CARE = [
  ...CREATE,
  ...CLAIMS,
  ...COPYING,
  ...VERIFY,
  ...RESTORE,
  ...PRUNE,
  ...REPAIRS,
  ...MOVING,
];
