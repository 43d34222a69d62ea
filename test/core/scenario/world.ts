/**
 * A handful of cores, a bag of messages and a disk for each, moved by hand: the stage of the
 * scenario files. Nothing happens that a scenario did not ask for.
 */
import assert from "node:assert/strict";
import {
  checkCluster,
  createCore,
  finish,
  flush,
  isUnfinished,
  step,
} from "../../../src/core/index.js";
import type { Core } from "../../../src/core/state.js";
import type {
  CoreEffect,
  CoreEvent,
  Entry,
  GroupConfig,
  HardState,
  MemberId,
  Message,
  SnapshotMeta,
  TimerName,
} from "../../../src/core/types.js";
import { showEffect, showMessage } from "../../../src/sim/explorer-show.js";

type Store = Extract<CoreEffect, { type: "store" }>;

export type Disk = {
  hardState: HardState | null;
  snapshot: SnapshotMeta | null;
  entries: Entry[];
};

export type Node = {
  readonly id: MemberId;
  core: Core | null;
  readonly disk: Disk;
  /** Handed to storage, not yet acknowledged. */
  pending: Store[];
  storesAtOnce: boolean;
  snapshotsAtOnce: boolean;
  chunksAtOnce: boolean;
  /** What storage will say about chunks that a leader sent. */
  heldChunks: CoreEvent[];
  pendingSnapshot: SnapshotMeta | null;
  readonly timers: Set<TimerName>;
};

export type Letter = { readonly from: MemberId; readonly to: MemberId; readonly message: Message };

export class World {
  readonly nodes = new Map<MemberId, Node>();
  readonly bag: Letter[] = [];
  readonly kept: Letter[] = [];
  readonly cuts = new Set<string>();
  readonly names: string[] = ["none"];
  config: GroupConfig;
  nowMs = 0;
  private readBatch = 1;
  lines: string[] = [];
  muted = false;
  showsTimers = false;

  constructor(config: GroupConfig) {
    this.config = config;
  }

  node(id: string): Node {
    const node = this.nodes.get(id);
    assert.ok(node, `no member ${id}`);
    return node;
  }

  coreOf(id: string): Core {
    const { core } = this.node(id);
    assert.ok(core, `${id} is down`);
    return core;
  }

  add(id: MemberId, disk: Disk, restarted: boolean): Node {
    const node: Node = {
      id,
      core: null,
      disk,
      pending: [],
      storesAtOnce: true,
      snapshotsAtOnce: true,
      chunksAtOnce: true,
      heldChunks: [],
      pendingSnapshot: null,
      timers: new Set(),
    };
    this.nodes.set(id, node);
    this.boot(node, restarted);
    return node;
  }

  boot(node: Node, restarted: boolean): void {
    const out: CoreEffect[] = [];
    node.timers.clear();
    if (restarted) this.readBatch += 100;
    node.core = createCore(
      {
        self: { id: node.id, address: `${node.id}:1` },
        nowMs: this.nowMs,
        hardState: node.disk.hardState,
        snapshot: node.disk.snapshot,
        entries: node.disk.entries.slice(),
        config: this.config,
        firstReadBatch: this.readBatch,
        restarted,
      },
      out,
    );
    this.perform(node, out);
    this.turn(node);
  }

  crash(id: string): void {
    const node = this.node(id);
    node.core = null;
    node.pending = [];
    node.pendingSnapshot = null;
    node.heldChunks = [];
    for (let i = this.bag.length - 1; i >= 0; i--) {
      if (this.bag[i]!.to === id) this.bag.splice(i, 1);
    }
  }

  request(name: string): number {
    this.names.push(name);
    return this.names.length - 1;
  }

  /** One event, one turn; then everything that storage answers at once. */
  handle(id: string, ...events: CoreEvent[]): void {
    const node = this.node(id);
    const core = this.coreOf(id);
    const out: CoreEffect[] = [];
    for (const event of events) step(core, event, out);
    this.perform(node, out);
    this.turn(node);
  }

  private turn(node: Node): void {
    this.end(node, flush);
    if (node.core !== null && isUnfinished(node.core)) this.end(node, finish);
  }

  private end(node: Node, end: typeof flush): void {
    const out: CoreEffect[] = [];
    if (node.core !== null) end(node.core, out);
    this.perform(node, out);
    this.check();
  }

  private perform(node: Node, effects: readonly CoreEffect[]): void {
    const answers: CoreEvent[] = [];
    for (const effect of effects) {
      const isTimer = effect.type === "setTimer" || effect.type === "cancelTimer";
      if (this.showsTimers || !isTimer) {
        this.print(showEffect(node.id, effect, (request) => this.names[request] ?? `#${request}`));
      }
      this.performOne(node, effect, answers);
    }
    if (answers.length > 0) this.handle(node.id, ...answers);
  }

  private performOne(node: Node, effect: CoreEffect, answers: CoreEvent[]): void {
    switch (effect.type) {
      case "send":
        this.bag.push({ from: node.id, to: effect.to, message: effect.message });
        return;
      case "store":
        node.pending.push(effect);
        if (node.storesAtOnce) answers.push(...this.takeStored(node));
        return;
      case "setTimer":
        node.timers.add(effect.timer);
        return;
      case "cancelTimer":
        node.timers.delete(effect.timer);
        return;
      case "takeSnapshot": {
        const { index, term, membership, membershipIndex, config, timeMs } = effect;
        const meta: SnapshotMeta = {
          ...{ index, term, membership, membershipIndex, config, timeMs },
          ...{ sizeBytes: 100, checksum: index, valueVersion: 1 },
        };
        node.pendingSnapshot = meta;
        if (node.snapshotsAtOnce) answers.push(this.saveSnapshot(node));
        return;
      }
      case "readSnapshotChunk": {
        const { to, index, offset, maxBytes } = effect;
        const { snapshot } = node.disk;
        const data =
          snapshot?.index === index
            ? new Uint8Array(Math.min(maxBytes, snapshot.sizeBytes - offset))
            : null;
        answers.push({ type: "snapshotChunkRead", to, index, offset, data, nowMs: this.nowMs });
        return;
      }
      case "writeSnapshotChunk": {
        const { index, term } = effect.snapshot;
        const sizeBytes = effect.offset + effect.data.length;
        const written = { type: "snapshotChunkWritten", index, term, sizeBytes } as const;
        (node.chunksAtOnce ? answers : node.heldChunks).push(written);
        return;
      }
      case "installSnapshot": {
        const { snapshot } = effect;
        node.disk.snapshot = snapshot;
        // As real storage does: a log that does not continue the snapshot is of no more use.
        const at = node.disk.entries.find((entry) => entry.index === snapshot.index);
        if (at?.term !== snapshot.term) node.disk.entries = [];
        const { index, term } = snapshot;
        const installed = { type: "snapshotInstalled", index, term, ok: true } as const;
        (node.chunksAtOnce ? answers : node.heldChunks).push(installed);
        return;
      }
      case "compactLog":
        node.disk.entries = node.disk.entries.filter((entry) => entry.index >= effect.firstIndex);
        return;
      case "apply":
      case "answerReads":
      case "accepted":
      case "refused":
      case "roleChanged":
      case "membershipChanged":
      case "configChanged":
      case "removed":
        return;
      default:
        effect satisfies never;
    }
  }

  saveSnapshot(node: Node): CoreEvent {
    const snapshot = node.pendingSnapshot;
    assert.ok(snapshot, `${node.id} takes no snapshot`);
    node.pendingSnapshot = null;
    node.disk.snapshot = snapshot;
    return { type: "snapshotSaved", snapshot };
  }

  /** Makes the oldest `count` pending stores durable. */
  takeStored(node: Node, count = node.pending.length): CoreEvent[] {
    const events: CoreEvent[] = [];
    for (const store of node.pending.splice(0, count)) {
      const { disk } = node;
      if (store.hardState !== null) disk.hardState = store.hardState;
      if (store.truncateFrom > 0) {
        disk.entries = disk.entries.filter((entry) => entry.index < store.truncateFrom);
      }
      disk.entries.push(...store.entries);
      events.push({ type: "stored", ticket: store.ticket, nowMs: this.nowMs });
    }
    return events;
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.has(`${from}->${to}`);
  }

  deliver(letter: Letter): void {
    const { from, to, message } = letter;
    const node = this.nodes.get(to);
    if (node === undefined || node.core === null || this.isCut(from, to)) {
      this.print(`(lost) ${from}->${to} ${showMessage(message)}`);
      return;
    }
    this.handle(to, { type: "messageReceived", from, message, nowMs: this.nowMs });
  }

  /** Delivers everything that is on its way, also what that brings forth. */
  settle(): void {
    for (let rounds = 0; this.bag.length > 0; rounds++) {
      assert.ok(rounds < 10_000, "the cluster never comes to rest");
      this.deliver(this.bag.shift()!);
    }
  }

  print(line: string): void {
    if (!this.muted) this.lines.push(line);
  }

  private check(): void {
    const cores: Core[] = [];
    for (const node of this.nodes.values()) if (node.core !== null) cores.push(node.core);
    assert.deepEqual(checkCluster(cores), []);
  }
}
