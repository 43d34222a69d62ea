/** Replicas of one group in one process: messages in order, storage that answers at once. */
import assert from "node:assert/strict";
import { crc32 } from "../../src/codec/crc32.js";
import { checkCluster, checkCore } from "../../src/core/index.js";
import { validateGroupConfig } from "../../src/core/config.js";
import type {
  Entry,
  GroupConfig,
  HardState,
  Message,
  SnapshotMeta,
  TimerName,
} from "../../src/core/types.js";
import {
  createReplica,
  finishReplica,
  flushReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaEvent,
  type ReplicaStart,
  stepReplica,
  readSnapshot,
} from "../../src/replica.js";
import { encodeCommandBody } from "../../src/value/body.js";
import { allArrived } from "../../src/value/byte-stream.js";
import type { DecodedSnapshot } from "../../src/value/snapshot.js";
import type { AnyDefinedValue, Outcome } from "../../src/value/types.js";
import { readSlices } from "../codec/read-slices.js";
import { codec, counter, pull } from "./log.js";

type Disk = {
  hardState: HardState | null;
  entries: Entry[];
  snapshot: SnapshotMeta | null;
  pieces: readonly Uint8Array[];
  incoming: Uint8Array[];
};

export type Node = {
  readonly id: string;
  definition: AnyDefinedValue;
  replica: Replica;
  disk: Disk;
  readonly inbox: ReplicaEvent[];
  /** Everything that the newest turns asked for and nobody has looked at. */
  readonly seen: ReplicaEffect[];
  readonly diverged: number[];
};

type Letter = { readonly from: string; readonly to: string; readonly message: Message };

export class Replicas {
  readonly nodes = new Map<string, Node>();
  readonly letters: Letter[] = [];
  /** Messages of these pairs, `from->to`, are lost. */
  readonly cut = new Set<string>();
  readonly messages: Letter[] = [];
  nowMs = 0;
  /** The definition that clients have; null: that of the member they ask. */
  clients: AnyDefinedValue | null = null;
  #request = 0;
  readonly #config: GroupConfig;

  constructor(config: Partial<GroupConfig> = {}) {
    this.#config = validateGroupConfig({ trailingLogBytes: 0, ...config });
  }

  create(id: string, definition: AnyDefinedValue = counter): Node {
    return this.#start(id, definition, { type: "create", config: this.#config }, emptyDisk());
  }

  join(id: string, definition: AnyDefinedValue = counter): Node {
    const node = this.#start(id, definition, { type: "join" }, emptyDisk());
    const leader = this.leader();
    this.post(leader.id, {
      type: "membershipChangeRequested",
      request: this.request(),
      change: { type: "add", member: { id, address: `${id}:1` }, promote: true },
      timeMs: 5000,
      nowMs: this.nowMs,
    });
    this.settle();
    this.beat();
    return node;
  }

  /** A process that comes back with its storage. */
  restart(id: string, definition = this.node(id).definition): Node {
    const { disk } = this.node(id);
    const start: ReplicaStart = {
      type: "restore",
      hardState: disk.hardState!,
      snapshot: disk.snapshot,
      entries: disk.entries,
      pieces: disk.pieces,
    };
    return this.#start(id, definition, start, disk);
  }

  #start(id: string, definition: AnyDefinedValue, start: ReplicaStart, disk: Disk): Node {
    const out: ReplicaEffect[] = [];
    const self = { id, address: `${id}:1` };
    const init = {
      definition,
      codec,
      self,
      nowMs: this.nowMs,
      timeMs: 1000,
      firstReadBatch: 1,
      freeze: true,
      start,
    };
    const replica = createReplica(init, out);
    const node: Node = { id, definition, replica, disk, inbox: [], seen: [], diverged: [] };
    this.nodes.set(id, node);
    this.#perform(node, out);
    this.settle();
    return node;
  }

  node(id: string): Node {
    return this.nodes.get(id)!;
  }

  leader(): Node {
    const leaders = [...this.nodes.values()].filter((n) => n.replica.core.role.type === "leader");
    assert.ok(leaders.length > 0, "nobody leads");
    const terms = leaders.map((node) => node.replica.core.currentTerm);
    return leaders[terms.indexOf(Math.max(...terms))]!;
  }

  request(): number {
    return ++this.#request;
  }

  post(id: string, event: ReplicaEvent): void {
    this.node(id).inbox.push(event);
  }

  fire(id: string, timer: TimerName): void {
    this.post(id, { type: "timerFired", timer, nowMs: this.nowMs });
    this.settle();
  }

  /** A heartbeat of the leader, and what it brings about. */
  beat(): void {
    this.nowMs += 100;
    this.fire(this.leader().id, "heartbeat");
  }

  /** Delivers and turns until nothing moves. */
  settle(): void {
    for (let turns = 0; turns < 10_000; turns++) {
      const node = [...this.nodes.values()].find((one) => one.inbox.length > 0);
      if (node !== undefined) this.#turn(node);
      else if (!this.#deliver()) return;
    }
    assert.fail("the replicas never come to rest");
  }

  #deliver(): boolean {
    const letter = this.letters.shift();
    if (letter === undefined) return false;
    const { from, to, message } = letter;
    if (this.cut.has(`${from}->${to}`) || !this.nodes.has(to)) return true;
    this.messages.push(letter);
    this.post(to, { type: "messageReceived", from, message, nowMs: this.nowMs });
    return true;
  }

  #turn(node: Node): void {
    const out: ReplicaEffect[] = [];
    for (const event of node.inbox.splice(0)) stepReplica(node.replica, event, out);
    flushReplica(node.replica, out);
    finishReplica(node.replica, out);
    this.#perform(node, out);
    const cores = [...this.nodes.values()].map((one) => one.replica.core);
    assert.deepEqual(checkCore(node.replica.core), []);
    assert.deepEqual(checkCluster(cores), []);
  }

  #perform(node: Node, out: readonly ReplicaEffect[]): void {
    for (const effect of out) {
      node.seen.push(effect);
      if (effect.type === "send") {
        this.letters.push({ from: node.id, to: effect.to, message: effect.message });
      } else if (effect.type === "diverged") node.diverged.push(effect.index);
      else this.#store(node, effect);
    }
  }

  #store({ id, disk }: Node, effect: ReplicaEffect): void {
    const { nowMs } = this;
    if (effect.type === "store") {
      const { ticket, truncateFrom, entries, hardState } = effect;
      if (truncateFrom > 0) disk.entries = disk.entries.filter((e) => e.index < truncateFrom);
      disk.entries.push(...entries);
      disk.hardState = hardState ?? disk.hardState;
      this.post(id, { type: "stored", ticket, nowMs });
    } else if (effect.type === "snapshotStarted") {
      const pieces = pull(effect.pieces);
      const bytes = Buffer.concat(pieces);
      disk.pieces = pieces;
      disk.snapshot = effect.finish(bytes.length, crc32(bytes));
      this.post(id, { type: "snapshotSaved", snapshot: disk.snapshot });
    } else if (effect.type === "readSnapshotChunk") {
      const { to, index, offset, maxBytes } = effect;
      const bytes = Buffer.concat(disk.pieces);
      const data =
        disk.snapshot?.index === index ? bytes.subarray(offset, offset + maxBytes) : null;
      this.post(id, { type: "snapshotChunkRead", to, index, offset, data, nowMs });
    } else if (effect.type === "writeSnapshotChunk") {
      const { snapshot, offset, data } = effect;
      if (offset === 0) disk.incoming = [];
      disk.incoming.push(data);
      const { index, term } = snapshot;
      const sizeBytes = offset + data.length;
      this.post(id, { type: "snapshotChunkWritten", index, term, sizeBytes });
    } else if (effect.type === "installSnapshot") {
      const { snapshot } = effect;
      disk.pieces = disk.incoming;
      disk.snapshot = snapshot;
      disk.entries = disk.entries.filter((entry) => entry.index > snapshot.index);
      const { replica } = this.nodes.get(id)!;
      const decoded = readWhole(replica, snapshot, disk.pieces);
      this.post(id, { type: "snapshotLoaded", snapshot, decoded });
    } else if (effect.type === "compactLog") {
      disk.entries = disk.entries.filter((entry) => entry.index >= effect.firstIndex);
    }
  }

  // -------------------------------------------------------------------------------------------
  // What a client does

  /** Registers at the leader; returns the session. */
  register(): number {
    const { id, seen } = this.leader();
    this.post(id, { ...proposal(this.request()), kind: "register", sequence: 77 });
    this.settle();
    for (const effect of seen.toReversed()) {
      if (effect.type !== "applied") continue;
      const entry = effect.entries.findLast((one) => one.kind === "register");
      if (entry !== undefined) return entry.index;
    }
    return assert.fail("no registration was applied");
  }

  /** Posts a command without a turn. */
  propose(id: string, session: number, sequence: number, name: string, arg?: unknown): number {
    const definition = this.clients ?? this.node(id).definition;
    const body = encodeCommandBody(definition, codec, name, arg !== undefined, arg, null);
    const request = this.request();
    this.post(id, { ...proposal(request), session, sequence, lowestOutstanding: 1, body });
    return request;
  }

  /** What came of a command at that replica: an outcome, or the code of a refusal. */
  command(id: string, session: number, sequence: number, name: string, arg?: unknown): Told {
    const { seen } = this.node(id);
    seen.length = 0;
    const request = this.propose(id, session, sequence, name, arg);
    this.settle();
    for (const effect of seen) {
      if (effect.type === "commandAnswered" && effect.request === request) {
        return { by: "session", outcome: effect.outcome };
      }
      if (effect.type === "refused" && effect.request === request) return { by: effect.code };
      if (effect.type !== "applied") continue;
      const at = effect.entries.findIndex((e) => e.session === session && e.sequence === sequence);
      if (at >= 0) return { by: "log", outcome: effect.outcomes[at]! };
    }
    return { by: "nothing" };
  }
}

export type Told = { readonly by: string; readonly outcome?: Outcome };

function proposal(request: number) {
  return {
    type: "commandProposed",
    request,
    kind: "command",
    session: 0,
    sequence: 0,
    lowestOutstanding: 0,
    timeMs: 2000,
    body: new Uint8Array(0),
  } as const;
}

function emptyDisk(): Disk {
  return { hardState: null, entries: [], snapshot: null, pieces: [], incoming: [] };
}

/** What a snapshot holds that is all there. */
export function readWhole(
  replica: Replica,
  snapshot: SnapshotMeta,
  pieces: readonly Uint8Array[],
): DecodedSnapshot {
  return readSlices(readSnapshot(replica, snapshot, allArrived(pieces))).value;
}

/** Three voters; "a" leads. */
export function electedThree(
  definition: AnyDefinedValue = counter,
  config: Partial<GroupConfig> = {},
) {
  const group = new Replicas(config);
  const a = group.create("a", definition);
  group.fire("a", "election");
  const b = group.join("b", definition);
  const c = group.join("c", definition);
  group.beat();
  assert.equal(a.replica.core.membership.voters.length, 3);
  return { group, a, b, c };
}
