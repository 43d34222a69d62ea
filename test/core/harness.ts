/**
 * A cluster of cores under a hostile sky: a bag of messages, a disk and a clock for each member, and
 * an onlooker (`Ghost`) who checks after every turn. The walk decides what happens; here is only how.
 */
import {
  checkCluster,
  checkCore,
  createCore,
  endTurn,
  finish,
  flush,
  isUnfinished,
  readableUntilMs,
  step,
} from "../../src/core/index.js";
import type { Core } from "../../src/core/state.js";
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
} from "../../src/core/types.js";
import type { SeededRandom } from "../../src/clock/virtual.js";
import { Ghost, type RequestKind, type Value } from "./ghost.js";
import { showJson, Shortcuts, type Taken } from "./shortcuts.js";
import { checksumOf, HarnessDisk, type Snapshot } from "./harness-disk.js";

export type Letter = { readonly from: MemberId; readonly to: MemberId; readonly message: Message };

export type Machine = {
  readonly id: MemberId;
  core: Core | null;
  disk: HarnessDisk;
  value: Value;
  /** Local time is `base + rate * global time`. */
  base: number;
  rate: number;
  /** Due times on the local clock. */
  readonly timers: Map<TimerName, number>;
  /** A snapshot being taken: saved or given up later. */
  taking: { snapshot: Snapshot; request: number | null } | null;
  shortcuts: Shortcuts;
  /** Its disk is lost for good. */
  wiped: boolean;
  removed: boolean;
};

export type Boot = { readonly hardState: HardState | null; readonly entries: readonly Entry[] };

export class Cluster {
  readonly machines = new Map<MemberId, Machine>();
  readonly ghost = new Ghost();
  bag: Letter[] = [];
  globalMs = 0;
  turns = 0;
  /** checkCluster after every so many turns; checkCore after each. */
  checkEvery = 1;
  trace: string[] | null = null;
  /** How often each kind of thing happened: a storm without wind proves nothing. */
  readonly counts = new Map<string, number>();
  readonly config: GroupConfig;
  readonly random: SeededRandom;
  #requests = 1;

  constructor(config: GroupConfig, random: SeededRandom) {
    this.config = config;
    this.random = random;
  }

  live(): Machine[] {
    return [...this.machines.values()].filter(({ core }) => core !== null);
  }

  cores(): Core[] {
    return this.live().map(({ core }) => core!);
  }

  nowOf({ base, rate }: Machine): number {
    return base + rate * this.globalMs;
  }

  add(id: MemberId, { hardState, entries }: Boot, rate: number): Machine {
    const machine: Machine = {
      id,
      core: null,
      disk: new HarnessDisk(hardState, entries, this.ghost.violate),
      value: { index: 0, digest: 1 },
      base: this.random.below(1000),
      rate,
      timers: new Map(),
      taking: null,
      shortcuts: new Shortcuts(),
      wiped: false,
      removed: false,
    };
    this.machines.set(id, machine);
    this.boot(machine, false);
    return machine;
  }

  boot(machine: Machine, restarted: boolean): void {
    const { disk, id } = machine;
    machine.timers.clear();
    machine.shortcuts = new Shortcuts();
    const { snapshot } = disk;
    machine.value = snapshot === null ? { index: 0, digest: 1 } : valueOf(snapshot);
    // Another life, another monotonic clock.
    if (restarted) this.count("restart");
    if (restarted) machine.base = this.random.below(100_000) - machine.rate * this.globalMs;
    const out: CoreEffect[] = [];
    machine.core = createCore(
      {
        self: { id, address: `${id}:1` },
        nowMs: this.nowOf(machine),
        hardState: disk.hardState,
        snapshot: snapshot?.meta ?? null,
        entries: disk.entries.slice(),
        config: this.config,
        firstReadBatch: this.turns + 1,
        restarted,
      },
      out,
    );
    endTurn(machine.core, out);
    this.#perform(machine, machine.core, out);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  crash(machine: Machine, kept: number): void {
    this.count("crash");
    machine.core = null;
    machine.taking = null;
    machine.timers.clear();
    machine.disk.crash(kept);
    this.ghost.closeAll(machine.id, null);
  }

  /** A query that needs no turn, if there is such a thing now: what is found of it is kept over signs of life. */
  readAtOnce(machine: Machine): void {
    const { core } = machine;
    if (core === null || this.nowOf(machine) >= readableUntilMs(core)) return;
    this.count("answered at once");
    const { committedIndex } = this.ghost;
    if (machine.value.index < committedIndex) {
      const at = `at ${machine.value.index}, committed: ${committedIndex}`;
      this.ghost.violate(`${machine.id} answers a read at once ${at}`);
    }
    this.ghost.violations.push(...checkCore(core));
  }

  /** One turn. What storage has to say comes in later turns. */
  handle(machine: Machine, ...events: readonly CoreEvent[]): void {
    const { core } = machine;
    if (core === null) return;
    const out: CoreEffect[] = [];
    if (this.trace !== null) {
      for (const event of events) this.trace.push(`${machine.id} < ${showJson(event)}`);
    }
    for (const event of events) {
      this.count(event.type);
      step(core, event, out);
    }
    flush(core, out);
    this.#perform(machine, core, out);
    // Now and then more happens before the rest of the turn.
    if (this.random.below(4) > 0) this.finish(machine);
    else if (isUnfinished(core)) this.count("left unfinished");
  }

  finish(machine: Machine): void {
    const { core } = machine;
    if (core === null || !isUnfinished(core)) return;
    this.count("finish");
    const out: CoreEffect[] = [];
    finish(core, out);
    this.#perform(machine, core, out);
  }

  /** And everybody hears of one that the leader has taken, whether it did or not. */
  askForSnapshot(machine: Machine): void {
    const request = this.ask(machine, "snapshot");
    this.handle(machine, { type: "snapshotRequested", request });
    const told = { index: this.random.below(30), sizeBytes: this.random.below(300) };
    for (const one of this.live()) this.handle(one, { type: "leaderSnapshotTold", ...told });
  }

  /** Gives a request its number and remembers who waits. */
  ask(machine: Machine, kind: RequestKind, sequence = 0): number {
    const id = this.#requests++;
    const { committedIndex: committed } = this.ghost;
    this.ghost.ask({ id, kind, at: machine.id, sequence, committed });
    return id;
  }

  #perform(machine: Machine, core: Core, out: readonly CoreEffect[]): void {
    const wasLeader = out.some((effect) => effect.type === "roleChanged");
    this.ghost.observe(core);
    for (const effect of out) {
      if (this.trace !== null) this.trace.push(`${machine.id} > ${showJson(effect)}`);
      this.#count(core, effect);
      this.#performOne(machine, core, effect);
    }
    if (wasLeader && core.role.type !== "leader") this.ghost.closeAll(machine.id, "command");
    this.turns += 1;
    this.ghost.violations.push(...checkCore(core));
    if (this.turns % this.checkEvery === 0) {
      this.ghost.violations.push(...checkCluster(this.cores()));
    }
  }

  #count(core: Core, effect: CoreEffect): void {
    if (effect.type === "refused") this.count(`refused ${effect.code}`);
    else if (effect.type === "store" && effect.truncateFrom > 0) this.count("cut");
    else if (effect.type === "answerReads") {
      const by = effect.leaseUntilMs === null ? core.role.type : "lease";
      this.count(`answered by ${by}`);
    } else if (effect.type === "roleChanged") this.count(`became ${effect.role}`);
    else if (effect.type === "membershipChanged") {
      const { membership, committed } = effect;
      const joint = membership.outgoing.length > 0 ? " joint" : "";
      this.count(`membership${joint}${committed ? " committed" : ""}`);
    } else this.count(effect.type);
  }

  #performOne(machine: Machine, core: Core, effect: CoreEffect): void {
    const { ghost } = this;
    const { disk, timers } = machine;
    switch (effect.type) {
      case "send":
        ghost.send(core, disk, effect.to, effect.message);
        this.bag.push({ from: machine.id, to: effect.to, message: effect.message });
        return;
      case "store":
      case "compactLog":
        disk.pending.push(effect);
        return;
      case "setTimer": {
        const { minMs, maxMs, timer } = effect;
        const delayMs = minMs + this.random.next() * (maxMs - minMs);
        timers.set(timer, this.nowOf(machine) + delayMs);
        return;
      }
      case "cancelTimer":
        timers.delete(effect.timer);
        return;
      case "apply":
        for (const entry of effect.entries) ghost.apply(machine.id, machine.value, entry);
        return;
      case "answerReads":
        ghost.answerReads(core, machine.value, this.nowOf(machine), effect);
        return;
      case "refused":
        if (ghost.close(effect.request) === null) this.#twice(machine, "refuses", effect.request);
        return;
      case "accepted":
        this.#accepted(machine, core, effect.request, effect.index);
        return;
      case "takeSnapshot":
        machine.taking = { snapshot: takeSnapshot(machine.value, effect), request: effect.request };
        return;
      case "readSnapshotChunk":
      case "writeSnapshotChunk":
      case "installSnapshot":
        disk.work.push(effect);
        return;
      case "removed":
        machine.removed = true;
        return;
      case "roleChanged":
      case "membershipChanged":
      case "configChanged":
        return;
      default:
        effect satisfies never;
    }
  }

  #twice(machine: Machine, verb: string, request: number): void {
    this.ghost.violate(`${machine.id} ${verb} #${request}, which is settled already`);
  }

  #accepted(machine: Machine, core: Core, request: number, index: number): void {
    const asked = this.ghost.close(request);
    if (asked === null) return this.#twice(machine, "accepts", request);
    if (asked.kind === "membership" && index > core.commitIndex) {
      this.ghost.violate(`${machine.id} accepts membership ${index}, which is not committed`);
    }
  }

  acknowledge(machine: Machine): void {
    const { disk } = machine;
    const ticket = disk.unacknowledged.at(-1);
    if (ticket === undefined || disk.failed) return;
    disk.unacknowledged = [];
    this.handle(machine, { type: "stored", ticket, nowMs: this.nowOf(machine) });
  }

  /** One piece of what storage was asked for about snapshots. */
  work(machine: Machine): void {
    const { disk, core, value } = machine;
    const work = disk.work.shift();
    if (work === undefined || core === null || disk.failed) return;
    const nowMs = this.nowOf(machine);
    if (work.type === "readSnapshotChunk") {
      const { to, index, offset, maxBytes } = work;
      this.handle(machine, { ...disk.readChunk(to, index, offset, maxBytes), nowMs } as CoreEvent);
    } else if (work.type === "writeSnapshotChunk") {
      this.handle(machine, disk.writeChunk(work.snapshot, work.offset, work.data));
    } else {
      const { snapshot: meta } = work;
      if (meta.index <= value.index) {
        this.ghost.violate(`${machine.id} installs ${meta.index} over its applied ${value.index}`);
      }
      const snapshot = disk.install(meta);
      if (snapshot !== null) {
        machine.value = valueOf(snapshot);
        this.ghost.compare(machine.id, machine.value);
      }
      const { index, term } = meta;
      this.handle(machine, { type: "snapshotInstalled", index, term, ok: snapshot !== null });
    }
  }

  /** The snapshot being taken is durable, or given up. */
  finishSnapshot(machine: Machine, ok: boolean): void {
    const { taking } = machine;
    if (taking === null || machine.disk.failed) return;
    machine.taking = null;
    if (taking.request !== null) this.ghost.close(taking.request);
    const { snapshot } = taking;
    if (ok) {
      machine.disk.saveSnapshot(snapshot);
      this.handle(machine, { type: "snapshotSaved", snapshot: snapshot.meta });
    } else this.handle(machine, { type: "snapshotFailed", index: snapshot.meta.index });
  }

  deliver({ from, to, message }: Letter): void {
    const machine = this.machines.get(to);
    if (machine === undefined || machine.core === null) return;
    const nowMs = this.nowOf(machine);
    const event = { type: "messageReceived", from, message, nowMs } as const;
    const taken = machine.shortcuts.hear(machine.core, event);
    if (!this.#take(machine, event, taken)) this.handle(machine, event);
  }

  /** True: it took no turn. */
  #take(machine: Machine, event: CoreEvent, taken: Taken | null): boolean {
    if (taken === null) return false;
    this.count(taken.what);
    if (this.trace !== null) this.trace.push(`${machine.id} < ${showJson(event)}`);
    if (taken.fault !== null) this.ghost.violate(`${machine.id}: ${taken.fault}`);
    this.#perform(machine, machine.core!, taken.out);
    return true;
  }

  fire(machine: Machine, timer: TimerName): void {
    if (!machine.timers.delete(timer)) return;
    const { core, shortcuts } = machine;
    const event = { type: "timerFired", timer, nowMs: this.nowOf(machine) } as const;
    const beats = timer === "heartbeat" && core !== null;
    const taken = beats ? shortcuts.beat(core, event) : null;
    if (!this.#take(machine, event, taken)) this.handle(machine, event);
  }
}

/** Index, hash, and a filling so that a snapshot takes several chunks. */
function takeSnapshot(
  value: Value,
  effect: Extract<CoreEffect, { type: "takeSnapshot" }>,
): Snapshot {
  const { index, term, timeMs, membership, membershipIndex, config } = effect;
  const bytes = new Uint8Array(100 + (value.digest % 100)).fill(value.digest & 255);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, value.index);
  view.setUint32(4, value.digest);
  const checksum = checksumOf(bytes);
  const meta: SnapshotMeta = {
    ...{ index, term, timeMs, membership, membershipIndex, config },
    ...{ sizeBytes: bytes.length, checksum, valueVersion: 1 },
  };
  return { meta, bytes };
}

function valueOf({ bytes }: Snapshot): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { index: view.getUint32(0), digest: view.getUint32(4) };
}
