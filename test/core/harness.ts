/**
 * A cluster of cores under a hostile sky: a bag of messages, a disk and a clock for each member, and
 * an onlooker (`Ghost`) who checks after every turn. The walk decides what happens; here is only how.
 */
import { isDeepStrictEqual } from "node:util";
import {
  beatAgain,
  checkCluster,
  checkCore,
  cloneCore,
  createCore,
  flush,
  hearPulse,
  hearSignOfLife,
  type Pulse,
  type Rest,
  restAgain,
  step,
  takePulse,
  takeRest,
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
  /** Echoes that were heard, by who sent them, and the beats of a leader at rest. */
  readonly pulses: Map<
    MemberId,
    { readonly pulse: Pulse; readonly message: Message; readonly effects: readonly CoreEffect[] }
  >;
  rest: { readonly rest: Rest; readonly effects: readonly CoreEffect[] } | null;
  /** Its disk is lost for good. */
  wiped: boolean;
  removed: boolean;
};

type Received = Extract<CoreEvent, { type: "messageReceived" }>;
/** Does what a turn would do and returns true, or does nothing. */
type Offer = (core: Core, out: CoreEffect[]) => boolean;

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
      pulses: new Map(),
      rest: null,
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
    machine.pulses.clear();
    machine.rest = null;
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
    flush(machine.core, out);
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
    if (!this.#hearAgain(machine, event)) this.handle(machine, event);
  }

  /** The ways around a turn, the shortest first. */
  #hearAgain(machine: Machine, event: Received): boolean {
    const { from, message, nowMs } = event;
    const what = message.type === "appendEntriesReply" ? "heard echo" : "heard beat";
    const said = machine.pulses.get(from);
    if (said !== undefined && "sentAtMs" in message && isSameButTime(said.message, message)) {
      const pulse: Offer = (_, out) => {
        if (!hearPulse(said.pulse, message.sentAtMs, nowMs)) return false;
        out.push(...said.effects.map((effect) => at(effect, message.sentAtMs)));
        return true;
      };
      if (this.#settledBy(pulse, machine, `${what} again`, event)) return true;
    }
    const effects: CoreEffect[] = [];
    const offer: Offer = (core, out) => {
      const done = hearSignOfLife(core, from, message, nowMs, out);
      effects.push(...out);
      return done;
    };
    if (!this.#settledBy(offer, machine, what, event)) return false;
    const pulse = takePulse(machine.core!, from, message);
    if (pulse !== null) machine.pulses.set(from, { pulse, message, effects });
    return true;
  }

  /** `offer` says that no turn is due for the event: has it done all that a turn would do? */
  #settledBy(offer: Offer, machine: Machine, what: string, event: CoreEvent): boolean {
    const core = machine.core!;
    const copy = cloneCore(core);
    const out: CoreEffect[] = [];
    if (!offer(core, out)) {
      if (out.length > 0) this.ghost.violate(`${core.self.id}: effects, and a turn is due as well`);
      return false;
    }
    this.count(what);
    if (this.trace !== null) this.trace.push(`${machine.id} < ${showJson(event)}`);
    const expected: CoreEffect[] = [];
    step(copy, event, expected);
    flush(copy, expected);
    // Only the shortcut itself looks at it.
    copy.quiet = core.quiet;
    if (!isDeepStrictEqual(out, expected) || !isDeepStrictEqual(cloneCore(core), cloneCore(copy))) {
      const { id } = core.self;
      const both = `${showJson(out)}, a turn brings ${showJson(expected)}`;
      this.ghost.violate(
        `${id}: no ${what} and nothing else, it brings ${both}: ${showJson(event)}`,
      );
    }
    this.#perform(machine, core, out);
    return true;
  }

  fire(machine: Machine, timer: TimerName): void {
    if (!machine.timers.delete(timer)) return;
    const nowMs = this.nowOf(machine);
    const event = { type: "timerFired", timer, nowMs } as const;
    if (timer !== "heartbeat" || machine.core === null || !this.#beat(machine, event)) {
      this.handle(machine, event);
    }
  }

  #beat(machine: Machine, event: Extract<CoreEvent, { type: "timerFired" }>): boolean {
    const { nowMs } = event;
    const { rest } = machine;
    machine.rest = null;
    if (rest !== null) {
      const again: Offer = (_, out) => {
        if (!restAgain(rest.rest, nowMs)) return false;
        out.push(...rest.effects.map((effect) => at(effect, machine.core!.nowMs)));
        return true;
      };
      machine.rest = rest;
      if (this.#settledBy(again, machine, "rest again", event)) return true;
      machine.rest = null;
    }
    const effects: CoreEffect[] = [];
    const offer: Offer = (core, out) => {
      const done = beatAgain(core, nowMs, out);
      effects.push(...out);
      return done;
    };
    if (!this.#settledBy(offer, machine, "beat again", event)) return false;
    machine.rest = { rest: takeRest(machine.core!), effects };
    return true;
  }
}

function isSameButTime(one: Message, other: Message): boolean {
  return isDeepStrictEqual({ ...one, sentAtMs: 0 }, { ...other, sentAtMs: 0 });
}

/** A beat that was sent before, at another time. */
function at(effect: CoreEffect, sentAtMs: number): CoreEffect {
  if (effect.type !== "send") return effect;
  return { ...effect, message: { ...effect.message, sentAtMs } as Message };
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

function showJson(what: object): string {
  return JSON.stringify(what, (key, value: unknown) => {
    if (value instanceof Uint8Array) return `<${value.length}>`;
    return key === "config" || key === "payload" || key === "members" ? undefined : value;
  });
}
