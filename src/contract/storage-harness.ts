/** What the storage contract asks of an adapter, and a storage that writes down its answers. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { crc32 } from "../codec/crc32.js";
import { utf8 } from "../codec/bytes.js";
import { defaultGroupConfig } from "../core/config.js";
import type { Entry, EntryKind, HardState, Membership, SnapshotMeta } from "../core/types.js";
import type { GroupIdentity, RecoveredGroup, Storage, StorageHandlers } from "../ports.js";

export type StorageHarness = {
  /** A storage over the one place of this test, ready for `open`. May be the same object again. */
  storage(): Storage;
  /**
   * For storages that can find a group damaged: harms what the place holds of it, while it is not open, as
   * a bit that flips would. Bodies of the entries are `<group> <index>`.
   */
  damage?(group: string): void | Promise<void>;
};

export type StorageFactory = (t: TestContext) => Promise<StorageHarness> | StorageHarness;

export type Answer =
  | { type: "stored"; group: string; ticket: number }
  | { type: "chunkWritten"; group: string; index: number; term: number; sizeBytes: number }
  | { type: "saved"; group: string; index: number; ok: boolean }
  | {
      type: "chunkRead";
      group: string;
      to: string;
      index: number;
      offset: number;
      data: Uint8Array | "later" | null;
    }
  | { type: "failed"; message: string }
  | { type: "warning"; message: string };

type AnswerOf<Type extends Answer["type"]> = Extract<Answer, { type: Type }>;

const patienceMs = 20_000;

/** An open storage. */
export class OpenStorage implements StorageHandlers {
  readonly storage: Storage;
  readonly answers: Answer[] = [];
  recovered: readonly RecoveredGroup[] = [];
  #ticket = 0;
  #waiting: { condition: () => boolean; resolve: () => void }[] = [];

  private constructor(storage: Storage) {
    this.storage = storage;
  }

  static async open(harness: StorageHarness, hostId = "foo"): Promise<OpenStorage> {
    const opened = new OpenStorage(harness.storage());
    const recovered = await opened.storage.open(hostId, opened);
    assert.deepEqual(opened.answers, [], "no answers before open has resolved");
    opened.recovered = recovered;
    return opened;
  }

  /** Closes, and opens the same place again. */
  async reopen(harness: StorageHarness): Promise<OpenStorage> {
    await this.storage.close();
    return OpenStorage.open(harness);
  }

  group(name: string): RecoveredGroup & { readonly entries: readonly Entry[] } {
    const group = this.recovered.find(({ identity }) => identity.group === name);
    assert.ok(group !== undefined, `group ${name} is not there`);
    assert.equal(group.damage, null);
    const entries = [...group.entries];
    assert.equal(entries.length, group.entries.length);
    assert.deepEqual(group.entries.at(-1), entries.at(-1));
    return { ...group, entries };
  }

  /** Appends and flushes; returns the ticket. */
  store(
    group: string,
    change: { hardState?: HardState; truncateFrom?: number; entries?: readonly Entry[] },
  ): number {
    const ticket = this.append(group, change);
    this.storage.flush();
    return ticket;
  }

  append(
    group: string,
    change: { hardState?: HardState; truncateFrom?: number; entries?: readonly Entry[] },
  ): number {
    const ticket = ++this.#ticket;
    const { hardState = null, truncateFrom = 0, entries = [] } = change;
    this.storage.append({ group, ticket, hardState, truncateFrom, entries });
    return ticket;
  }

  stored(group: string, ticket: number): Promise<void> {
    return this.until(`ticket ${ticket} of ${group} is stored`, () =>
      this.of("stored").some((answer) => answer.group === group && answer.ticket >= ticket),
    );
  }

  /** Writes this member's own snapshot and waits for its answer. */
  async save(group: string, meta: SnapshotMeta, pieces: readonly Uint8Array[]): Promise<boolean> {
    const sink = this.storage.beginSnapshot(group);
    for (const piece of pieces) sink.write(piece);
    sink.commit(meta);
    return this.savedAs(meta);
  }

  /** Receives a snapshot in chunks of `chunkBytes` and installs it. */
  async receive(
    group: string,
    meta: SnapshotMeta,
    data: Uint8Array,
    chunkBytes = 1000,
  ): Promise<boolean> {
    for (let offset = 0; offset < data.length; offset += chunkBytes) {
      const chunk = data.subarray(offset, offset + chunkBytes);
      this.storage.writeSnapshotChunk(group, meta, offset, chunk);
    }
    this.storage.installSnapshot(group, meta);
    return this.savedAs(meta);
  }

  /** The next answer about the snapshot. */
  async savedAs(meta: SnapshotMeta): Promise<boolean> {
    let answer: AnswerOf<"saved"> | undefined;
    await this.until(`snapshot ${meta.index} is answered`, () => {
      const at = this.answers.findIndex(({ type }) => type === "saved");
      if (at >= 0) answer = this.answers.splice(at, 1)[0] as AnswerOf<"saved">;
      return answer !== undefined;
    });
    assert.equal(answer!.index, meta.index);
    return answer!.ok;
  }

  async read(index: number, offset: number, maxBytes: number): Promise<Uint8Array | null> {
    const count = this.of("chunkRead").length;
    this.storage.readSnapshotChunk("queue", "bar#1", index, offset, maxBytes);
    await this.until("the chunk is read", () => this.of("chunkRead").length > count);
    const answer = this.of("chunkRead")[count]!;
    assert.deepEqual(
      { group: answer.group, to: answer.to, index: answer.index, offset: answer.offset },
      { group: "queue", to: "bar#1", index, offset },
    );
    assert.ok(answer.data !== "later", "nothing keeps it from being read");
    return answer.data;
  }

  async loaded(group: string): Promise<Uint8Array> {
    return Buffer.concat(await this.storage.loadSnapshot(group));
  }

  of<Type extends Answer["type"]>(type: Type): AnswerOf<Type>[] {
    return this.answers.filter((answer): answer is AnswerOf<Type> => answer.type === type);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    if (condition()) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const inVain = (): void => {
        const seen = JSON.stringify(this.answers.slice(-5));
        reject(new Error(`waited in vain until ${what}; the last answers: ${seen}`));
      };
      timer = setTimeout(inVain, patienceMs);
    });
    const met = new Promise<void>((resolve) => this.#waiting.push({ condition, resolve }));
    try {
      await Promise.race([met, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  onStored(group: string, ticket: number): void {
    this.#note({ type: "stored", group, ticket });
  }
  onSnapshotChunkWritten(group: string, index: number, term: number, sizeBytes: number): void {
    this.#note({ type: "chunkWritten", group, index, term, sizeBytes });
  }
  onSnapshotSaved(group: string, snapshot: SnapshotMeta, ok: boolean): void {
    this.#note({ type: "saved", group, index: snapshot.index, ok });
  }
  onSnapshotChunkRead(
    group: string,
    to: string,
    index: number,
    offset: number,
    data: Uint8Array | "later" | null,
  ): void {
    this.#note({ type: "chunkRead", group, to, index, offset, data });
  }
  onFailed(error: Error): void {
    this.#note({ type: "failed", message: error.message });
  }
  onWarning(message: string): void {
    this.#note({ type: "warning", message });
  }

  #note(answer: Answer): void {
    this.answers.push(answer);
    const met = this.#waiting.filter(({ condition }) => condition());
    this.#waiting = this.#waiting.filter((one) => !met.includes(one));
    for (const { resolve } of met) resolve();
  }
}

export function identityOf(group: string, incarnation = "1"): GroupIdentity {
  return {
    group,
    groupId: `id of ${group}`,
    memberId: `foo#${incarnation}`,
    address: "127.0.0.1:7101",
    valueName: "queue",
  };
}

export const membership: Membership = {
  voters: ["foo#1", "bar#1"],
  outgoing: ["foo#1"],
  learners: [{ id: "baz#2", promote: true, replaces: "baz#1" }],
  members: [
    { id: "foo#1", address: "127.0.0.1:1" },
    { id: "bar#1", address: "127.0.0.1:2" },
    { id: "baz#2", address: "127.0.0.1:3" },
  ],
};

export function entry(index: number, term: number, text = `entry ${index} of ${term}`): Entry {
  return {
    index,
    term,
    kind: "command",
    session: 3,
    sequence: index,
    lowestOutstanding: 1,
    timeMs: 1_700_000_000_000 + index,
    body: utf8(text),
    payload: null,
  };
}

export function entries(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
}

export function special(index: number, term: number, kind: EntryKind): Entry {
  const payload =
    kind === "membership" ? membership : kind === "config" ? defaultGroupConfig : null;
  return { ...entry(index, term), kind, body: new Uint8Array(0), payload };
}

export function hardState(currentTerm: number, votedFor: string | null = null): HardState {
  return { currentTerm, votedFor, forcedRemovals: [] };
}

export function metaOf(index: number, term: number, data: Uint8Array): SnapshotMeta {
  return {
    index,
    term,
    timeMs: 1_700_000_000_000 + index,
    membership,
    membershipIndex: Math.min(index, 2),
    config: defaultGroupConfig,
    sizeBytes: data.length,
    checksum: crc32(data),
    valueVersion: 4,
  };
}

/** Bodies as plain bytes, so that views and copies compare alike. */
export function plain(list: readonly Entry[]): Entry[] {
  return list.map((one) => ({ ...one, body: new Uint8Array(one.body) }));
}

/** A group "queue" with entries 1 to `last` of term 1. */
export async function withEntries(harness: StorageHarness, last: number): Promise<OpenStorage> {
  const opened = await OpenStorage.open(harness);
  opened.storage.createGroup(identityOf("queue"));
  const change = { hardState: hardState(1), entries: entries(1, last, 1) };
  await opened.stored("queue", opened.store("queue", change));
  return opened;
}
