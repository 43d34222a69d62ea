/** Whose a directory is, and what operators do with it. */
import { type Mutant, unit } from "../types.js";

const processes = unit("test/storage/process.test");
const newGroups = unit("test/storage/new-groups.test");
const tools = unit("test/storage/tools.test");
const setAside = unit("test/storage/set-aside.test");

const ownership: readonly Mutant[] = [
  {
    id: "dead-process-keeps-the-lock",
    hazards: [84],
    bug: "the socket that a killed process has left behind locks its directory for ever",
    file: "src/storage/file/lock.ts",
    find: "nodeFs.rmSync(path, { force: true });",
    replace: "",
    catchers: [processes],
  },
  {
    id: "lock-of-one-container-only",
    hazards: [84],
    bug: "a process in another network namespace does not see that the directory is held",
    file: "src/storage/file/lock.ts",
    find: "if (inDirectory !== null) hold(",
    replace: "if (false) hold(",
    catchers: [processes],
  },
  {
    id: "directory-of-another-host-opened",
    hazards: [84],
    bug: "a host takes a directory that belongs to another one",
    file: "src/storage/file/identity.ts",
    find: "if (identity.hostId !== hostId) {",
    replace: "if (false) {",
    catchers: [processes, unit("test/storage/contract.test")],
  },
  {
    id: "newer-format-opened",
    hazards: [],
    bug: "a directory of a format that is not known yet is opened all the same",
    file: "src/storage/file/identity.ts",
    find: "if (format <= formatVersion) return;",
    replace: "if (format > 0) return;",
    catchers: [processes, tools],
  },
  {
    id: "directory-of-another-program-taken",
    hazards: [],
    bug: "files of another program are taken for a damaged directory of ours",
    file: "src/storage/file/identity.ts",
    find: "if (foreign.length > 0) {",
    replace: "if (false) {",
    catchers: [processes],
  },
];

const operators: readonly Mutant[] = [
  {
    id: "repair-without-a-copy",
    hazards: [79],
    bug: "the doctor repairs a directory of which no copy was made",
    file: "src/storage/file/doctor.ts",
    find: 'const copy = await copyBeside(fs, dir, "before-repair");',
    replace: "const copy = `${dir}.before-repair-1`;",
    catchers: [tools],
  },
  {
    id: "damage-repaired-away",
    hazards: [79],
    bug: "the doctor cuts off what was stored and does not read back",
    file: "src/storage/file/doctor.ts",
    find: "if (log === null || isDamaged(log) || log.lost !== null) return;",
    replace: `if (log === null) return;
  for (const { state } of log.groups) state.damage = null;
  log.scan.findings.length = 0;`,
    catchers: [tools],
  },
  {
    id: "good-copy-set-aside",
    hazards: [4],
    bug: "a member whose copy is good gives up its vote",
    file: "src/storage/file/set-aside.ts",
    find: "if (found.damage === null) {",
    replace: "if (false) {",
    catchers: [newGroups],
  },
  {
    id: "good-copy-set-aside-by-policy",
    hazards: [4],
    bug: "a host that is to rejoin when its copy is damaged gives up a good one",
    file: "src/storage/file/file-storage.ts",
    find: "if (state === undefined || state.damage === null) {",
    replace: "if (state === undefined) {",
    catchers: [setAside, unit("test/storage/contract.test")],
  },
  {
    id: "group-begins-over-its-damaged-copy",
    hazards: [68],
    bug: "a host that is told to create a group does so where its copy of it is damaged",
    file: "src/host/birth.ts",
    find: 'if (damage !== null && (onDamage !== "rejoin" || start === "create")) {',
    replace: 'if (damage !== null && onDamage !== "rejoin" && start !== "create") {',
    catchers: [unit("test/host/failures.test")],
  },
  {
    id: "set-aside-copy-not-synced",
    hazards: [79],
    bug: "the power goes, and of a damaged group neither the copy nor the original is left",
    file: "src/storage/file/copy.ts",
    find: "await to.sync();",
    replace: "",
    catchers: [setAside],
  },
  {
    id: "log-copied-while-it-is-written",
    hazards: [79],
    bug: "in what is kept of a damaged group, groups that went on meanwhile look damaged as well",
    file: "src/storage/file/copy.ts",
    find: "const end = endOfLog?.() ?? null;",
    replace: "const end = endOfLog === null ? null : { segment: Infinity, offset: Infinity };",
    catchers: [setAside],
  },
  {
    id: "identity-moved-up-first",
    hazards: [55],
    bug: "a directory that is restored by half passes for a whole one",
    file: "src/storage/file/new-directory.ts",
    find: "for (const name of await readdir(building)) {",
    replace: `const { copyFile } = await import("node:fs/promises");
  await copyFile(\`\${building}/\${identityName}\`, \`\${dir}/\${identityName}\`);
  for (const name of await readdir(building)) {`,
    catchers: [newGroups],
  },
  {
    id: "recovered-log-keeps-its-members",
    hazards: [52],
    bug: "a group recovered from one copy waits for the majority that is lost",
    file: "src/storage/file/recover-directory.ts",
    find: `return entry.kind === "membership" ? { ...entry, payload: membership } : entry;`,
    replace: "return entry;",
    catchers: [newGroups],
  },
  {
    id: "recovered-snapshot-keeps-its-members",
    hazards: [52],
    bug: "the snapshot of a recovered group names members that are lost",
    file: "src/storage/file/recover-directory.ts",
    find: "{ meta: { ...reader.meta, membership }, pieces: reader.pieces() }",
    replace: "{ meta: reader.meta, pieces: reader.pieces() }",
    catchers: [newGroups],
  },
  {
    id: "survivors-ranked-by-length",
    hazards: [5],
    bug: "the longest log of the survivors is taken, although another one has a later term",
    file: "src/storage/file/recover-directory.ts",
    find: "return damaged || b.lastTerm - a.lastTerm || b.lastIndex - a.lastIndex;",
    replace: "return damaged || b.lastIndex - a.lastIndex;",
    catchers: [newGroups],
  },
  {
    id: "recovered-term-used-before",
    hazards: [2],
    bug: "a recovered group begins in a term in which a survivor may have voted",
    file: "src/storage/file/recover-directory.ts",
    find: "const currentTerm = Math.max(survivor.lastTerm, ...terms);",
    replace: "const currentTerm = Math.max(survivor.lastTerm, ...terms.slice(0, 0));",
    catchers: [newGroups],
  },
  {
    id: "backup-without-a-barrier",
    hazards: [38],
    bug: "a backup lacks commands that were answered before it was asked for",
    file: "src/client/backup.ts",
    find: `await client.admin("barrier", null, options);`,
    replace: "",
    catchers: [unit("test/client/backup.test")],
  },
  {
    id: "backup-not-compared-with-its-meta",
    hazards: [55],
    bug: "a backup whose bytes are not those that its meta announces becomes a group",
    file: "src/storage/file/backup-file.ts",
    find: "if (crc !== checksum) {",
    replace: "if (false) {",
    catchers: [unit("test/storage/backup-file.test")],
  },
];

export const directories: readonly Mutant[] = [...ownership, ...operators];
