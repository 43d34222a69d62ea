/**
 * Makes a data directory that holds one group from the start: what `restore` and `recover` leave.
 *
 * It is built in the folder `unfinished` of the new directory and moved up at the end, the identity
 * last. Whatever interrupts that, a host either finds the group whole or refuses the directory;
 * it never takes a half of it for an empty one and begins a new group there.
 */
import { mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import type { Entry, HardState, SnapshotMeta } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import type { GroupIdentity, Storage, StorageHandlers } from "../../ports.js";
import { attempt, storageError, systemCode } from "./failure.js";
import { fileStorage } from "./file-storage.js";
import { nodeFileSystem } from "./fs.js";
import { identityName, lockName, unfinishedName } from "./names.js";

export type NewGroup = {
  readonly identity: GroupIdentity;
  readonly hardState: HardState;
  readonly snapshot: {
    readonly meta: SnapshotMeta;
    readonly pieces: AsyncIterable<Uint8Array>;
  } | null;
  /** Contiguous, from right behind the snapshot. */
  readonly entries: readonly Entry[];
};

const batchBytes = 1024 * 1024;

/**
 * Rejects with `storageMismatch` if `dir` is there and not an empty directory, and with what reading
 * the pieces rejects with; then `dir` is as it was before.
 */
export async function makeDataDirectory(
  dir: string,
  hostId: string,
  group: NewGroup,
): Promise<void> {
  const { existed } = await takeEmpty(dir);
  const building = `${dir}/${unfinishedName}`;
  try {
    await attempt(`writing ${dir}`, async () => {
      await fill(building, hostId, group);
      await moveUp(building, dir);
    });
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    if (!existed) await rmdir(dir).catch(() => undefined);
    throw error;
  }
  await rm(building, { recursive: true, force: true });
  await nodeFileSystem.syncDirectory(dir);
}

/** Refuses what is there, before anything is made. */
export async function checkEmpty(dir: string): Promise<{ readonly existed: boolean }> {
  let names: readonly string[];
  try {
    names = await readdir(dir);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return { existed: false };
    if (code !== "ENOTDIR") throw storageError(error, `opening ${dir}`);
    throw new RaftError("storageMismatch", `${dir} is not a directory: name a new one`);
  }
  if (names.length === 0) return { existed: true };
  const what = names.includes(unfinishedName)
    ? `holds what another restore or recover has not finished (${unfinishedName})`
    : `is not empty (${names[0]!})`;
  const why = `${dir} ${what}: name a new directory`;
  throw new RaftError("storageMismatch", why);
}

/** Makes the folder to build in; of two who try at once, one is refused. */
async function takeEmpty(dir: string): Promise<{ readonly existed: boolean }> {
  const empty = await checkEmpty(dir);
  await attempt(`making ${dir}`, () => nodeFileSystem.makeDirectory(dir));
  try {
    await mkdir(`${dir}/${unfinishedName}`);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw storageError(error, `making ${dir}`);
    throw new RaftError("storageMismatch", `${dir} is being written by another process`);
  }
  return empty;
}

/** All of it or nothing. */
async function moveUp(building: string, dir: string): Promise<void> {
  const names = (await readdir(building)).filter((name) => name !== lockName);
  const others = names.filter((name) => name !== identityName);
  try {
    for (const name of others) await rename(`${building}/${name}`, `${dir}/${name}`);
    await nodeFileSystem.syncDirectory(dir);
    await rename(`${building}/${identityName}`, `${dir}/${identityName}`);
    await nodeFileSystem.syncDirectory(dir);
  } catch (error) {
    // Without its identity nobody takes the rest for a data directory.
    for (const name of [identityName, ...others]) await rm(`${dir}/${name}`, { force: true });
    throw error;
  }
}

async function fill(building: string, hostId: string, group: NewGroup): Promise<void> {
  const storage = fileStorage(building, { lowSpaceBytes: 0 });
  const answers = new Answers();
  await storage.open(hostId, answers.handlers);
  try {
    storage.createGroup(group.identity);
    storage.flush();
    if (group.snapshot !== null) await writeSnapshot(storage, answers, group);
    await writeLog(storage, answers, group);
  } finally {
    await storage.close();
  }
  answers.check();
}

/** Piece by piece, as if a leader had sent it: so no more than a piece waits in memory. */
async function writeSnapshot(
  storage: Storage,
  answers: Answers,
  { identity, snapshot }: NewGroup,
): Promise<void> {
  const { group } = identity;
  const { meta, pieces } = snapshot!;
  let offset = 0;
  for await (const piece of pieces) {
    answers.chunkBytes = null;
    storage.writeSnapshotChunk(group, meta, offset, piece);
    offset += piece.length;
    await answers.until(() => answers.chunkBytes !== null);
    if (answers.chunkBytes !== offset) throw noRoom(meta);
  }
  storage.installSnapshot(group, meta);
  await answers.until(() => answers.installed !== null);
  // That it is what its checksum says was seen while it was read.
  if (answers.installed !== true) throw noRoom(meta);
}

/** A leader would go on once there is room; here nobody waits for that. */
function noRoom({ sizeBytes }: SnapshotMeta): RaftError {
  const what = `the snapshot of ${sizeBytes} bytes and a segment of the log`;
  return new RaftError("diskFull", `no space left for ${what}: free some space`);
}

async function writeLog(storage: Storage, answers: Answers, group: NewGroup): Promise<void> {
  const name = group.identity.group;
  let hardState: HardState | null = group.hardState;
  let ticket = 0;
  for (let from = 0; hardState !== null || from < group.entries.length;) {
    let to = from;
    for (let bytes = 0; to < group.entries.length && bytes < batchBytes; to++) {
      bytes += group.entries[to]!.body.length + 64;
    }
    ticket += 1;
    const entries = group.entries.slice(from, to);
    storage.append({ group: name, ticket, hardState, truncateFrom: 0, entries });
    storage.flush();
    const stored = ticket;
    await answers.until(() => answers.storedTicket >= stored);
    hardState = null;
    from = to;
  }
}

/** What the storage has answered, and who waits for it. */
class Answers {
  storedTicket = 0;
  /** Held of the snapshot, as the last answer says; null while it is awaited. */
  chunkBytes: number | null = null;
  installed: boolean | null = null;
  #error: Error | null = null;
  #wake: () => void = () => undefined;
  readonly handlers: StorageHandlers = {
    onStored: (_group, ticket) => {
      this.storedTicket = ticket;
      this.#wake();
    },
    onSnapshotChunkWritten: (_group, _index, _term, sizeBytes) => {
      this.chunkBytes = sizeBytes;
      this.#wake();
    },
    onSnapshotSaved: (_group, _snapshot, ok) => {
      this.installed = ok;
      this.#wake();
    },
    onSnapshotChunkRead: () => undefined,
    onFailed: (error) => {
      this.#error = error;
      this.#wake();
    },
    onWarning: () => undefined,
  };

  /** Rejects with the storage's failure. */
  async until(come: () => boolean): Promise<void> {
    for (;;) {
      this.check();
      if (come()) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  check(): void {
    if (this.#error !== null) throw this.#error;
  }
}
