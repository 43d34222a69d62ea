/** What an operator does with durable groups, as functions: the command line's verbs are made of them. */
import { createSystemClock, createSystemRandom } from "./clock/system.js";
import { takeBackup } from "./client/backup.js";
import { createGroupClient } from "./client/client.js";
import { checkGroup, checkHosts, checkNames, checkTimeout, signalOf } from "./client/options.js";
import { createCborCodec } from "./codec/values.js";
import { isOptions, RaftError, show } from "./errors.js";
import {
  checkAddress,
  checkDefinition,
  checkGroupName,
  checkHostId,
  silentLogger,
} from "./host/options.js";
import type { Diagnosis, DoctorOptions, InspectOptions, Inspection } from "./storage/file/index.js";
import type { Ranking, Restored, SetAside } from "./storage/file/tools.js";
import { parseAddress } from "./transport/tcp-address.js";
import { createTcpTransport } from "./transport/tcp.js";
import type { TlsOptions } from "./transport/tls-options.js";
import type { AnyDefinedValue } from "./value/types.js";

const backupTimeoutMs = 60_000;

/** Loaded by the first call: programs that only serve or call a group do without. */
const load = () => import("./storage/file/tools.js");

// ---------------------------------------------------------------------------------------------
// backup

export type BackupOptions = {
  readonly group: string;
  /** Some of the members, `host:port`. The first that answers is read; the others stand in for it. */
  readonly hosts: readonly string[];
  /** Where the backup is written. Must not exist. */
  readonly file: string;
  readonly tls?: TlsOptions | undefined;
  /** Milliseconds until a step (reaching a member, its snapshot, a piece) is given up. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

export type BackupResult = {
  readonly file: string;
  readonly group: string;
  readonly groupId: string;
  /** The member that was read. */
  readonly memberId: string;
  readonly valueName: string;
  readonly valueVersion: number;
  /** The backup holds the value as it was when the entry at `index` had been applied. */
  readonly index: number;
  readonly term: number;
  /** Of the snapshot; the file has a little more. */
  readonly sizeBytes: number;
};

/**
 * Writes a consistent snapshot of a running group into one file, with the sessions, so that a retried
 * command is known there as well. Everything that was acknowledged before the call is in it. The
 * file bears its name only once it is whole and synced.
 *
 * The member that is read takes a snapshot for it and goes on working; a leader is needed at the
 * beginning only. Should that member go away, another one is read from the start.
 *
 * Refuses with `invalidArgument` (which names the field; also if `file` exists), `unknownGroup`,
 * `protocolMismatch`, `unavailable` or `timeout` (no member answers, or no leader), `diskFull`,
 * `storageFailed`, `storageCorrupt` (the member's own snapshot is damaged), `aborted`.
 *
 * @example
 * ```ts
 * const { index, sizeBytes } = await backup({
 *   group: "queue",
 *   hosts: ["127.0.0.1:7101", "127.0.0.1:7102"],
 *   file: "queue.backup",
 * });
 * ```
 */
export async function backup(options: BackupOptions): Promise<BackupResult> {
  checkOptions(options, optionNames.backup);
  const { tls } = options;
  const group = checkGroup(options.group);
  const hosts = checkHosts(options.hosts, (address, field) => parseAddress(address, "dial", field));
  const file = checkPath("file", options.file);
  const timeoutMs = checkTimeout("timeoutMs", options.timeoutMs ?? backupTimeoutMs);
  const signal = signalOf(options);
  const { createBackup, refuseExisting } = await load();
  await refuseExisting(file);
  const transport = createTcpTransport(tls === undefined ? {} : { tls });
  const clock = createSystemClock();
  const client = createGroupClient<AnyDefinedValue>({
    definition: null,
    group,
    hosts,
    dial: (address, handlers) => transport.dial(address, handlers),
    clock,
    random: createSystemRandom(),
    codec: createCborCodec(),
    logger: silentLogger,
    defaultTimeoutMs: timeoutMs,
  });
  try {
    const { status, meta } = await takeBackup({ client, hosts, timeoutMs, signal }, (of) => {
      const { groupId, id: memberId, valueName } = of;
      return createBackup(file, {
        ...{ group, groupId, memberId, valueName },
        takenAtMs: clock.wallMs(),
      });
    });
    const { groupId, id: memberId, valueName } = status;
    const { index, term, sizeBytes, valueVersion } = meta;
    return {
      ...{ file, group, groupId, memberId, valueName },
      ...{ valueVersion, index, term, sizeBytes },
    };
  } finally {
    await client.close();
  }
}

// ---------------------------------------------------------------------------------------------
// restore

export type RestoreOptions = {
  /** What `backup` has written. */
  readonly file: string;
  /** Of the host that will serve the new group. */
  readonly id: string;
  /** Its data directory: new or empty. */
  readonly dir: string;
  /** The new group's name. Default: as it was. */
  readonly group?: string | undefined;
  /** Where others will reach the host, for members that join later. */
  readonly advertise?: string | undefined;
  /** Refuse a backup of another value, or of a newer version of it. Default: `host.group` will. */
  readonly definition?: AnyDefinedValue | undefined;
};

export type { Restored as RestoreResult };

/**
 * Makes a data directory that holds a new group of one member, whose value is the backup's. The group
 * has a new id: members and clients of the old one are refused by it, so that the two are never
 * mixed up. Start the host on the directory to serve it, then let others join.
 *
 * Refuses, and leaves `dir` as it was, with `invalidArgument` (which names the field),
 * `storageMismatch` (`file` is no backup, of a newer format, or of another value; `dir` is not empty),
 * `storageCorrupt` (`file` is truncated or damaged), `diskFull`, `storageFailed`.
 *
 * @example
 * ```ts
 * await restore({ file: "queue.backup", id: "foo", dir: "/var/lib/foo" });
 * const host = await startHost({ id: "foo", listen, storage: fileStorage("/var/lib/foo") });
 * const group = await host.group("queue", queue, { start: "create" });
 * ```
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  checkOptions(options, optionNames.restore);
  const { id, group, advertise, definition } = options;
  const file = checkPath("file", options.file);
  const dir = checkPath("dir", options.dir);
  const founder = founderOf(id, group, advertise);
  if (definition !== undefined) checkDefinition(definition);
  const { restoreDirectory } = await load();
  return restoreDirectory(file, dir, founder, ({ valueName, valueVersion }) => {
    if (definition === undefined) return;
    const { name, version, compatibleVersions } = definition;
    const known = valueVersion <= version || compatibleVersions.includes(valueVersion);
    if (valueName === name && known) return;
    throw new RaftError(
      "storageMismatch",
      `${file} holds value "${valueName}" version ${valueVersion}, this program has "${name}" ` +
        `version ${version}: restore it with the value that it is of`,
    );
  });
}

// ---------------------------------------------------------------------------------------------
// recover

export type RecoverOptions = {
  /** Data directories of members that are left. None may be in use. */
  readonly dirs: readonly string[];
  readonly group: string;
  /** Of the host that will serve the new group. */
  readonly id: string;
  /** Its data directory: new or empty. The survivors' are only read. */
  readonly out: string;
  readonly advertise?: string | undefined;
};

/**
 * How the survivors of a group that lost its majority rank: the best first. Writes nothing. Refuses the
 * directories as `recover` does.
 */
export async function rank(dirs: readonly string[], group: string): Promise<Ranking> {
  checkGroupName(group);
  const checked = checkDirs(dirs);
  return (await load()).rankSurvivors(checked, group);
}

/**
 * UNSAFE, for a group that has lost its majority for good: makes the data directory of a new group of
 * one member from the best copy that is left, by (last term, last index). Its snapshot and log are
 * kept; the membership is itself alone, group id and incarnation are new.
 *
 * What was committed on the lost members and is in none of the directories is lost; what was in the
 * best one's log and never committed is committed now. No member of the old group may be started again.
 *
 * Refuses with `invalidArgument`, `storageLocked` (a directory is in use), `storageMismatch` (no data
 * directory, no such group in it, groups of different ids, `out` is not empty), `storageCorrupt` (every
 * copy is damaged), `diskFull`, `storageFailed`.
 *
 * @example
 * ```ts
 * const { survivors } = await recover({
 *   dirs: ["/var/lib/foo", "/mnt/bar"],
 *   group: "queue",
 *   id: "foo",
 *   out: "/var/lib/foo-recovered",
 * });
 * console.log(`made of ${survivors[0]!.dir}, up to index ${survivors[0]!.lastIndex}`);
 * ```
 */
export async function recover(options: RecoverOptions): Promise<Ranking> {
  checkOptions(options, optionNames.recover);
  const { group } = options;
  checkGroupName(group);
  const dirs = checkDirs(options.dirs);
  const out = checkPath("out", options.out);
  const founder = founderOf(options.id, group, options.advertise);
  return (await load()).recoverDirectory(dirs, out, { ...founder, group });
}

// ---------------------------------------------------------------------------------------------
// inspect, doctor

/**
 * What is in the data directory `dir`. Rejects with `storageMismatch` if it is none of ours, missing
 * or no directory; damage is part of the answer and no rejection.
 *
 * @example
 * ```ts
 * const { groups, health } = await inspect("/var/lib/foo");
 * for (const { group, currentTerm, lastIndex } of groups) console.log(group, currentTerm, lastIndex);
 * ```
 */
export async function inspect(dir: string, options: InspectOptions = {}): Promise<Inspection> {
  checkOptions(options, optionNames.inspect);
  return (await load()).inspectDirectory(checkPath("dir", dir), options);
}

/**
 * Examines the data directory `dir`, and mends it if that is asked for. Rejects with `storageLocked`
 * while a host has it open, `storageMismatch` if it is no data directory, `storageFailed` or `diskFull` if
 * the repair could not be carried out (the copy is made first, so nothing is lost by that).
 *
 * @example
 * ```ts
 * const { problems, copy } = await doctor("/var/lib/foo", { repair: true });
 * for (const { message, advice } of problems) console.log(message, advice, copy);
 * ```
 */
export async function doctor(dir: string, options: DoctorOptions = {}): Promise<Diagnosis> {
  checkOptions(options, optionNames.doctor);
  return (await load()).doctorDirectory(checkPath("dir", dir), options);
}

/**
 * Takes a group that is damaged out of the data directory `dir`, so that its host can join the group again
 * as a new member. Nothing is deleted: the directory as it was is kept beside the new one.
 *
 * Rejects with `storageLocked` while a host has it open, `storageMismatch` if it is no data directory or
 * holds no such group, `invalidArgument` if the group is not damaged: to throw a good copy away
 * costs the group a vote that it can count on; `storageCorrupt` if other groups are there and the file `identity`
 * has to be repaired first; `diskFull`, `storageFailed`.
 *
 * @example
 * ```ts
 * const { kept, others } = await setGroupAside("/var/lib/foo", "queue");
 * console.log(`the directory as it was is ${kept}; ${others.length} groups go on`);
 * ```
 */
export async function setGroupAside(dir: string, group: string): Promise<SetAside> {
  return (await load()).setGroupAside(checkPath("dir", dir), checkGroup(group));
}

function founderOf(id: string, group: string | undefined, advertise: string | undefined) {
  checkHostId(id);
  if (group !== undefined) checkGroupName(group);
  if (advertise !== undefined) checkAddress("advertise", advertise);
  const random = createSystemRandom();
  return {
    group: group ?? null,
    groupId: random.id(),
    hostId: id,
    memberId: `${id}#${random.id()}`,
    address: advertise ?? null,
  };
}

const optionNames = {
  backup: Object.keys({
    ...{ group: true, hosts: true, file: true, tls: true, timeoutMs: true, signal: true },
  } satisfies Record<keyof BackupOptions, true>),
  restore: Object.keys({
    ...{ file: true, id: true, dir: true, group: true, advertise: true, definition: true },
  } satisfies Record<keyof RestoreOptions, true>),
  recover: Object.keys({
    ...{ dirs: true, group: true, id: true, out: true, advertise: true },
  } satisfies Record<keyof RecoverOptions, true>),
  inspect: Object.keys({ fs: true } satisfies Record<keyof InspectOptions, true>),
  doctor: Object.keys({ repair: true, fs: true } satisfies Record<keyof DoctorOptions, true>),
} as const;

/** A misspelt `group` or `repair` would be as good as none. */
function checkOptions(options: unknown, names: readonly string[]): void {
  if (!isOptions(options)) {
    throw new RaftError("invalidArgument", "options: expected an object, see the example");
  }
  checkNames(options, names);
}

function checkPath(field: string, path: unknown): string {
  if (typeof path === "string" && path !== "") return path;
  throw new RaftError("invalidArgument", `${field}: expected a path, got ${show(path)}`);
}

function checkDirs(dirs: unknown): readonly string[] {
  if (Array.isArray(dirs) && dirs.length > 0) {
    return dirs.map((dir: unknown, at) => checkPath(`dirs[${at}]`, dir));
  }
  throw new RaftError("invalidArgument", "dirs: expected an array of one or more paths");
}
