/** What the tests of file storage share: entries, metas, and a storage whose answers can be awaited. */
import * as nodeFs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "../../src/codec/bytes.js";
import { crc32 } from "../../src/codec/crc32.js";
import { defaultGroupConfig } from "../../src/core/config.js";
import type { Entry, HardState, SnapshotMeta } from "../../src/core/types.js";
import type { RaftError } from "../../src/errors.js";
import type { GroupIdentity, RecoveredGroup, Storage, StorageHandlers } from "../../src/ports.js";
import { type FileStorageOptions, fileStorage } from "../../src/storage/file/index.js";
import type { FakeDisk } from "./fake-disk.js";

export const emptyMembership = { voters: [], outgoing: [], learners: [], members: [] };

export function identityOf(group: string): GroupIdentity {
  return {
    group,
    groupId: `id-of-${group}`,
    memberId: "foo#1",
    address: "127.0.0.1:7101",
    valueName: "queue",
  };
}

export function entryOf(index: number, term: number, text: string): Entry {
  return {
    index,
    term,
    kind: "command",
    session: 1,
    sequence: index,
    lowestOutstanding: 1,
    timeMs: 1000 + index,
    body: utf8(text),
    payload: null,
  };
}

export function entriesOf(first: number, count: number, term = 1, text = "entry"): Entry[] {
  return Array.from({ length: count }, (_, at) =>
    entryOf(first + at, term, `${text} ${first + at}`),
  );
}

export function hardStateOf(currentTerm: number, votedFor: string | null = null): HardState {
  return { currentTerm, votedFor, forcedRemovals: [] };
}

export function metaOf(index: number, term: number, data: Uint8Array): SnapshotMeta {
  return {
    index,
    term,
    timeMs: 1000 + index,
    membership: emptyMembership,
    membershipIndex: 1,
    config: defaultGroupConfig,
    sizeBytes: data.length,
    checksum: crc32(data),
    valueVersion: 1,
  };
}

/** Bytes that do not compress, repeat or happen to be zero; the same for the same seed. */
export function noise(sizeBytes: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let state = seed >>> 0;
  for (let at = 0; at < sizeBytes; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export function temporaryDirectory(): string {
  return nodeFs.mkdtempSync(join(tmpdir(), "file-storage-"));
}

export function removeDirectory(dir: string): void {
  nodeFs.rmSync(dir, { recursive: true, force: true });
}

type Answer =
  | { readonly type: "stored"; readonly group: string; readonly ticket: number }
  | { readonly type: "written"; readonly group: string; readonly sizeBytes: number }
  | { readonly type: "saved"; readonly group: string; readonly index: number; readonly ok: boolean }
  | {
      readonly type: "read";
      readonly to: string;
      readonly data: Uint8Array | "later" | null;
      readonly offset: number;
    }
  | { readonly type: "failed"; readonly error: Error }
  | { readonly type: "warning"; readonly message: string };

/** Without the class of entries that were unpacked. */
export function plain<T extends Entry | undefined>(entries: readonly T[]): T[] {
  return entries.map((entry) => entry && { ...entry });
}

/** With its entries in an array, for comparisons. */
export type Recovered = RecoveredGroup & { readonly entries: readonly Entry[] };

/** A storage and everything that it has answered. */
export class Opened {
  readonly storage: Storage;
  readonly answers: Answer[] = [];
  readonly recovered: readonly Recovered[];
  #watchers: (() => void)[] = [];
  #nextTicket = 1;

  private constructor(storage: Storage) {
    this.storage = storage;
    this.recovered = [];
  }

  static async open(
    dir: string,
    options: FileStorageOptions = {},
    hostId = "foo",
  ): Promise<Opened> {
    const opened = new Opened(fileStorage(dir, { lowSpaceBytes: 0, markLagMs: 0, ...options }));
    const recovered = await opened.storage.open(hostId, opened.#handlers());
    (opened as { recovered: readonly Recovered[] }).recovered = recovered.map((group) => ({
      ...group,
      entries: plain([...group.entries]),
    }));
    return opened;
  }

  #handlers(): StorageHandlers {
    const note = (answer: Answer): void => {
      this.answers.push(answer);
      for (const watcher of this.#watchers.splice(0)) watcher();
    };
    return {
      onStored: (group, ticket) => note({ type: "stored", group, ticket }),
      onSnapshotChunkWritten: (group, _index, _term, sizeBytes) =>
        note({ type: "written", group, sizeBytes }),
      onSnapshotSaved: (group, { index }, ok) => note({ type: "saved", group, index, ok }),
      onSnapshotChunkRead: (_group, to, _index, offset, data) =>
        note({ type: "read", to, data, offset }),
      onFailed: (error) => note({ type: "failed", error }),
      onWarning: (message) => note({ type: "warning", message }),
    };
  }

  group(name: string): Recovered | undefined {
    return this.recovered.find((group) => group.identity.group === name);
  }

  /** Waits until an answer satisfies `is`; gives the first that does. */
  async until<T extends Answer>(is: (answer: Answer) => answer is T): Promise<T>;
  async until(is: (answer: Answer) => boolean): Promise<Answer>;
  async until(is: (answer: Answer) => boolean): Promise<Answer> {
    for (;;) {
      const found = this.answers.find(is);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** Appends and flushes, without waiting; returns the ticket. */
  store(
    group: string,
    entries: readonly Entry[],
    rest: { readonly hardState?: HardState; readonly truncateFrom?: number } = {},
  ): number {
    const ticket = this.#nextTicket++;
    this.storage.append({
      group,
      ticket,
      hardState: rest.hardState ?? null,
      truncateFrom: rest.truncateFrom ?? 0,
      entries,
    });
    this.storage.flush();
    return ticket;
  }

  storedTicket(group: string): number {
    let highest = 0;
    for (const answer of this.answers) {
      if (answer.type === "stored" && answer.group === group && answer.ticket > highest) {
        highest = answer.ticket;
      }
    }
    return highest;
  }

  async stored(group: string, ticket: number): Promise<void> {
    await this.until(() => this.storedTicket(group) >= ticket);
  }

  /** Takes, writes and awaits a snapshot. */
  async snapshot(
    group: string,
    index: number,
    term: number,
    data: Uint8Array,
  ): Promise<SnapshotMeta> {
    const meta = metaOf(index, term, data);
    const sink = this.storage.beginSnapshot(group);
    for (let at = 0; at < data.length; at += 100_000) sink.write(data.subarray(at, at + 100_000));
    sink.commit(meta);
    await this.until((a) => a.type === "saved" && a.group === group && a.index === index);
    return meta;
  }

  /** A chunk of a snapshot, as from the leader; how much of that is held then. */
  async chunk(meta: SnapshotMeta, offset: number, data: Uint8Array): Promise<number> {
    const from = this.answers.length;
    this.storage.writeSnapshotChunk("queue", meta, offset, data);
    const answer = await this.until((one): one is Extract<Answer, { type: "written" }> => {
      return one.type === "written" && one.group === "queue" && this.answers.indexOf(one) >= from;
    });
    return answer.sizeBytes;
  }

  warnings(): string[] {
    return this.answers.flatMap((answer) => (answer.type === "warning" ? [answer.message] : []));
  }

  close(): Promise<void> {
    return this.storage.close();
  }
}

/** The names and bytes of a directory's files, for comparison. */
export function imageOf(dir: string): Map<string, Buffer> {
  const image = new Map<string, Buffer>();
  for (const name of nodeFs.readdirSync(dir).sort()) {
    if (name !== "lock") image.set(name, nodeFs.readFileSync(join(dir, name)));
  }
  return image;
}

export function textsOf(entries: readonly Entry[]): string[] {
  return entries.map((entry) => Buffer.from(entry.body).toString());
}

export async function inDirectory(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = temporaryDirectory();
  try {
    await work(dir);
  } finally {
    removeDirectory(dir);
  }
}

/** Segments that none of these tests fills. */
export const largeSegments = { segmentBytes: 65_536, firstSegmentBytes: 65_536 };

/** A group with so many entries, in large segments. */
export async function withGroup(disk: FakeDisk, entries = 10): Promise<Opened> {
  const opened = await Opened.open("/data", { ...largeSegments, fs: disk });
  opened.storage.createGroup(identityOf("queue"));
  const ticket = opened.store("queue", entriesOf(1, entries), { hardState: hardStateOf(1) });
  await opened.stored("queue", ticket);
  return opened;
}

/** Small segments, and a group with three entries. */
export async function withQueue(disk: FakeDisk): Promise<Opened> {
  const options = { segmentBytes: 16_384, firstSegmentBytes: 8192, fs: disk };
  const opened = await Opened.open("/data", options);
  opened.storage.createGroup(identityOf("queue"));
  const hardState = hardStateOf(1);
  await opened.stored("queue", opened.store("queue", entriesOf(1, 3), { hardState }));
  return opened;
}

export function errorsOf(opened: Opened): RaftError[] {
  return opened.answers.flatMap((answer) =>
    answer.type === "failed" ? [answer.error as RaftError] : [],
  );
}
