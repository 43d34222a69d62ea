/**
 * A random walk of a cluster from one seed: what happens next, how often, and whether all comes to a
 * good end once the storm is over.
 */
import { bootstrapEntries, validateGroupConfig } from "../../src/core/index.js";
import { isMember, isQuorum } from "../../src/core/quorum.js";
import type { Core } from "../../src/core/state.js";
import type { CoreEvent, GroupConfig, MemberId, Membership } from "../../src/core/types.js";
import { SeededRandom } from "../../src/clock/virtual.js";
import { Cluster, type Letter, type Machine } from "./harness.js";
import { heal } from "./heal.js";

export type Walk = {
  readonly cluster: Cluster;
  readonly random: SeededRandom;
  /** How often each kind of thing happens, drawn from the seed. */
  readonly rates: Readonly<Record<Rate, number>>;
  readonly leases: boolean;
  /** Who is on the other side of a cut, and how many steps it lasts. */
  apart: ReadonlySet<MemberId>;
  apartFor: number;
  /** What goes the other way does go. */
  isOneWay: boolean;
  /** So many steps happen among the others alone: time enough to elect somebody and to commit. */
  focusFor: number;
  incarnations: number;
  bodies: number;
};

const rateNames = [
  "drop",
  "duplicate",
  "reorder",
  "partition",
  "crash",
  "wipe",
  "timer",
  "election",
  "slowDisk",
  "failDisk",
  "member",
  "transfer",
  "config",
  "read",
  "snapshot",
  "stall",
  "disconnect",
] as const;
export type Rate = (typeof rateNames)[number];

export type Result = {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly turns: number;
  readonly committed: number;
  readonly counts: ReadonlyMap<string, number>;
  /** Nothing could come of it: a majority was wiped in the middle of a change. */
  readonly excused: boolean;
};

function drawConfig(random: SeededRandom, leases: boolean): GroupConfig {
  const base = validateGroupConfig({
    heartbeatMs: 100,
    electionTimeoutMs: 1000,
    clockDriftMarginMs: leases ? 200 : 1000,
  });
  return {
    ...base,
    snapshotLogFactor: 1,
    minSnapshotLogBytes: random.below(2) === 0 ? 300 : 1_000_000,
    trailingLogBytes: random.below(3) * 150,
    snapshotChunkBytes: 64,
    // Below what validation allows: packets of one or two entries.
    maxAppendBytes: random.below(2) === 0 ? 150 : 10_000,
    maxInflightBytes: random.below(2) === 0 ? 400 : 100_000,
    maxInflightMessages: 1 + random.below(4),
  };
}

export function startWalk(seed: number, voters: number): Walk {
  const random = new SeededRandom(seed);
  const leases = random.below(2) === 0;
  const cluster = new Cluster(drawConfig(random, leases), random);
  const rates = {} as Record<Rate, number>;
  for (const name of rateNames) rates[name] = random.below(3) === 0 ? 0 : random.next();
  const ids = ["a#1", "b#1", "c#1", "d#1", "e#1"].slice(0, voters);
  const members = ids.map((id) => ({ id, address: `${id}:1` }));
  const [config, first] = bootstrapEntries(members[0]!, cluster.config, 1);
  const membership: Membership = { voters: ids, outgoing: [], learners: [], members };
  const entries = [config!, { ...first!, payload: membership }];
  const hardState = { currentTerm: 1, votedFor: null, forcedRemovals: [] };
  for (const id of ids) cluster.add(id, { hardState, entries }, 0.95 + random.next() * 0.1);
  const parts = { apart: new Set<MemberId>(), apartFor: 0, isOneWay: false, focusFor: 0 };
  return { cluster, random, rates, leases, ...parts, incarnations: 1, bodies: 0 };
}

export function runWalk(seed: number, voters: number, steps: number, trace = false): Result {
  const walk = startWalk(seed, voters);
  const { cluster } = walk;
  const { ghost } = cluster;
  if (trace) cluster.trace = [];
  let excused = false;
  try {
    for (let i = 0; i < steps && ghost.violations.length === 0; i++) takeStep(walk);
    if (ghost.violations.length === 0) excused = heal(walk);
  } catch (error) {
    ghost.violate(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  if (trace) console.log(cluster.trace!.join("\n"));
  const { violations, committedIndex: committed } = ghost;
  const { turns, counts } = cluster;
  return { seed, violations, turns, committed, counts, excused };
}

function pick<T>(random: SeededRandom, from: readonly T[]): T | null {
  return from.length === 0 ? null : from[random.below(from.length)]!;
}

function happens({ random, rates }: Walk, rate: Rate, chance: number): boolean {
  return random.next() < rates[rate] * chance;
}

/** Someone who thinks that it leads, most of the time. */
function someLeader({ cluster, random }: Walk): Machine | null {
  const live = cluster.live().filter(({ removed }) => !removed);
  const leaders = live.filter(({ core }) => core!.role.type === "leader");
  return pick(random, random.below(10) > 0 && leaders.length > 0 ? leaders : live);
}

export function takeStep(walk: Walk): void {
  const { cluster, random } = walk;
  // Short steps, and now and then a leap: about as long as leases and promises last.
  const leaps = walk.focusFor === 0 && random.below(40) === 0;
  const leap = leaps ? 1200 * random.next() : 0;
  cluster.globalMs += random.next() * 2 + leap;
  for (const machine of cluster.live()) cluster.readAtOnce(machine);
  if (walk.focusFor > 0) {
    walk.focusFor -= 1;
    // Does who was left behind know that it leads no more?
    if (walk.focusFor === 0) for (const id of walk.apart) askRead(walk, cluster.machines.get(id)!);
  }
  if (walk.apartFor > 0) walk.apartFor -= 1;
  else if (happens(walk, "partition", 0.05)) cut(walk);
  const leads = cluster.cores().some(({ role }) => role.type === "leader");
  // Without a leader there is little to ask for.
  const asks = leads && walk.focusFor === 0;
  const dice = random.below(asks || random.below(10) === 0 ? 100 : 80);
  if (dice < 50) moveMessage(walk);
  else if (dice < 72) moveDisk(walk);
  else if (dice < 80) moveTimers(walk);
  else if (dice < 87) propose(walk);
  else if (dice < 96) ask(walk);
  else break_(walk);
}

/** Takes some away from the others for a while, above all whoever leads. */
function cut(walk: Walk): void {
  const { cluster, random } = walk;
  const leader = someLeader(walk);
  const apart = cluster.live().filter((one) => one === leader || random.below(8) === 0);
  walk.apart = new Set(apart.map(({ id }) => id));
  walk.apartFor = 20 + random.below(100);
  walk.isOneWay = random.below(2) === 0;
  cluster.count("partition");
  if (random.below(2) === 0) return;
  walk.focusFor = 50 + random.below(100);
  walk.apartFor += walk.focusFor;
  // About as long as promises last.
  cluster.globalMs += 600 + 700 * random.next();
}

function isCut({ apart, apartFor, isOneWay }: Walk, { from, to }: Letter): boolean {
  if (apartFor === 0 || apart.has(from) === apart.has(to)) return false;
  return apart.has(from) || !isOneWay;
}

/** Somebody, of those on whom the story dwells. */
function someone({ cluster, random, apart, focusFor }: Walk): Machine | null {
  const live = cluster.live();
  return pick(random, focusFor > 0 ? live.filter(({ id }) => !apart.has(id)) : live);
}

/** The place in the bag of what arrives next, or -1. */
function nextLetter(walk: Walk): number {
  const { cluster, random, apart, focusFor } = walk;
  const { bag } = cluster;
  if (focusFor > 0) {
    return bag.findIndex(({ from, to }) => !apart.has(from) && !apart.has(to));
  }
  return happens(walk, "reorder", 0.7) ? random.below(bag.length) : 0;
}

function moveMessage(walk: Walk): void {
  const { cluster, random } = walk;
  const { bag } = cluster;
  while (bag.length > 120) bag.splice(random.below(bag.length), 1);
  const at = bag.length === 0 ? -1 : nextLetter(walk);
  if (at < 0) return moveTimers(walk);
  const letter: Letter = bag[at]!;
  if (isCut(walk, letter)) {
    // Held back until it is over, or lost.
    bag.splice(at, 1);
    if (random.below(3) === 0) bag.push(letter);
    return;
  }
  if (!happens(walk, "duplicate", 0.3)) bag.splice(at, 1);
  if (walk.focusFor === 0 && happens(walk, "drop", 0.25)) return;
  const next = bag[0];
  // Sometimes a turn takes more than one message.
  if (next?.to === letter.to && !isCut(walk, next) && random.below(3) === 0) {
    const machine = cluster.machines.get(letter.to);
    if (machine === undefined || machine.core === null) return;
    bag.shift();
    const nowMs = cluster.nowOf(machine);
    cluster.handle(
      machine,
      ...[letter, next].map(({ from, message }): CoreEvent => {
        return { type: "messageReceived", from, message, nowMs };
      }),
    );
  } else cluster.deliver(letter);
}

function moveDisk(walk: Walk): void {
  const { cluster, random } = walk;
  const machine = someone(walk);
  if (machine === null) return;
  const { disk } = machine;
  const isQuick = walk.focusFor > 0;
  if (!disk.failed && (isQuick || !happens(walk, "slowDisk", 0.8))) {
    disk.persist(1 + random.below(disk.pending.length + 1));
  }
  if (isQuick || !happens(walk, "slowDisk", 0.5)) cluster.acknowledge(machine);
  if (random.below(2) === 0) cluster.work(machine);
  if (random.below(3) === 0) cluster.finishSnapshot(machine, random.below(8) > 0);
}

/** Among those on whom the story dwells nobody campaigns or leads yet, and nothing is on its way. */
function isRipe(walk: Walk, machine: Machine): boolean {
  const { core } = machine;
  const { cluster, apart, focusFor } = walk;
  if (focusFor === 0 || cluster.nowOf(machine) < core!.promisedUntilMs) return false;
  if (nextLetter(walk) >= 0) return false;
  const others = cluster.live().filter(({ id }) => !apart.has(id));
  return others.every(({ core: other }) => {
    return other!.role.type !== "candidate" && other!.role.type !== "leader";
  });
}

function moveTimers(walk: Walk): void {
  const { cluster, random } = walk;
  const machine = someone(walk);
  if (machine === null) return;
  // Nobody leads: let time go by, or the storm is a calm.
  const waits = machine.core!.role.leader === null && walk.focusFor === 0;
  if (waits && random.below(3) === 0) cluster.globalMs += 200;
  const due = [...machine.timers].filter(([, at]) => at <= cluster.nowOf(machine));
  const early = isRipe(walk, machine) || happens(walk, "timer", 1) ? [...machine.timers] : [];
  const timer = pick(random, due.length > 0 ? due : early)?.[0];
  if (timer === undefined) return;
  // Elections at any moment, but not so often that nothing else comes about.
  if (timer === "election") {
    // One campaign at a time while the story dwells on somebody; else seldom before its time.
    if (walk.focusFor > 0 ? !isRipe(walk, machine) && random.below(20) > 0 : due.length === 0) {
      if (walk.focusFor > 0 || !happens(walk, "election", 0.3)) return;
    }
  }
  cluster.fire(machine, timer);
}

function propose(walk: Walk): void {
  const { cluster, random } = walk;
  const machine = someLeader(walk);
  if (machine === null) return;
  const count = 1 + random.below(2);
  const events = Array.from({ length: count }, (): CoreEvent => {
    walk.bodies += 1;
    const body = new Uint8Array(random.below(4) === 0 ? 200 : 8);
    new DataView(body.buffer).setUint32(0, walk.bodies);
    const request = cluster.ask(machine, "command", walk.bodies);
    return {
      ...{ type: "commandProposed", request, kind: "command", session: 1 },
      ...{ sequence: walk.bodies, lowestOutstanding: 0, timeMs: cluster.globalMs, body },
    };
  });
  cluster.handle(machine, ...events);
}

function askRead({ cluster }: Walk, machine: Machine): void {
  if (machine.core === null) return;
  const request = cluster.ask(machine, "read");
  cluster.handle(machine, { type: "readRequested", request, nowMs: cluster.nowOf(machine) });
}

function ask(walk: Walk): void {
  const { cluster, random } = walk;
  const timeMs = cluster.globalMs;
  if (happens(walk, "read", 1)) {
    const machine = random.below(2) === 0 ? someLeader(walk) : pick(random, cluster.live());
    if (machine !== null) askRead(walk, machine);
    return;
  }
  if (happens(walk, "member", 0.6)) return changeMembers(walk);
  const machine = someLeader(walk);
  if (machine === null || machine.core === null) return;
  const nowMs = cluster.nowOf(machine);
  if (happens(walk, "transfer", 0.5)) {
    const request = cluster.ask(machine, "transfer");
    const other = pick(random, machine.core.membership.members)?.id ?? null;
    const target = random.below(6) === 0 ? null : other;
    cluster.handle(machine, { type: "transferRequested", request, target, nowMs });
  } else if (happens(walk, "config", 0.5)) {
    const request = cluster.ask(machine, "config");
    const electionTimeoutMs = 600 + random.below(1200);
    const clockDriftMarginMs = walk.leases ? electionTimeoutMs / 5 : electionTimeoutMs;
    const config = { ...machine.core.config, electionTimeoutMs, clockDriftMarginMs };
    cluster.handle(machine, { type: "configChangeRequested", request, config, timeMs });
  } else if (happens(walk, "snapshot", 0.5)) cluster.askForSnapshot(machine);
}

/** Never so that what is left could not elect: wiped members are gone for ever. */
function mayLose({ cluster }: Walk, id: MemberId): boolean {
  const gone = (other: MemberId) => other === id || cluster.machines.get(other)?.wiped !== false;
  const holds = (membership: Membership) =>
    membership.voters.length === 0 || isQuorum(membership, (other) => !gone(other));
  return [...cluster.machines.values()].every(({ core, disk }) => {
    const stored = disk.entries.filter(({ kind }) => kind === "membership");
    const snapshot = disk.snapshot === null ? [] : [disk.snapshot.meta.membership];
    const inCore = core?.memberships.map(({ membership }) => membership) ?? [];
    const all = [...stored.map(({ payload }) => payload as Membership), ...snapshot, ...inCore];
    return all.every(holds);
  });
}

function changeMembers(walk: Walk): void {
  const { cluster, random } = walk;
  const machine = someLeader(walk);
  const core: Core | null = machine?.core ?? null;
  if (machine === null || core === null) return;
  const base = { timeMs: cluster.globalMs, nowMs: cluster.nowOf(machine) };
  const type = "membershipChangeRequested";
  const outside = cluster
    .live()
    .filter(({ id }) => !cluster.ghost.everMembers.has(id) || isMember(core.membership, id));
  const dice = random.below(4);
  if (dice % 2 === 0 && core.membership.members.length > 1) {
    const { id } = pick(random, core.membership.members)!;
    const member = { id, address: `${id}:${random.below(100)}` };
    const change =
      dice === 0 ? ({ type: "remove", id } as const) : ({ type: "move", member } as const);
    cluster.handle(machine, { ...base, type, request: cluster.ask(machine, "membership"), change });
    return;
  }
  let newcomer = pick(random, outside);
  if (newcomer === null || (dice === 1 && cluster.machines.size < 9)) {
    // A new host, or the next life of one that was there.
    walk.incarnations += 1;
    const host = pick(random, ["a", "b", "c", "d", "e", "f"])!;
    const old = cluster.live().find(({ id }) => id.startsWith(`${host}#`));
    if (old !== undefined) {
      if (!mayLose(walk, old.id)) return;
      wipe(walk, old);
    }
    const id = `${host}#${walk.incarnations}`;
    newcomer = cluster.add(id, { hardState: null, entries: [] }, 0.95 + random.next() * 0.1);
  }
  const request = cluster.ask(machine, "membership");
  const member = { id: newcomer.id, address: `${newcomer.id}:1` };
  const promote = random.below(4) > 0;
  if (machine.core === null) return void cluster.ghost.close(request);
  cluster.handle(machine, { ...base, type, request, change: { type: "add", member, promote } });
}

function wipe({ cluster }: Walk, machine: Machine): void {
  cluster.crash(machine, 0);
  machine.wiped = true;
}

function break_(walk: Walk): void {
  const { cluster, random } = walk;
  const machine = pick(random, [...cluster.machines.values()]);
  if (machine === null || machine.wiped) return;
  if (machine.core === null) return cluster.boot(machine, true);
  const nowMs = cluster.nowOf(machine);
  const { disk } = machine;
  if (happens(walk, "crash", 0.6)) {
    cluster.crash(machine, random.below(disk.pending.length + 1));
    if (random.below(2) === 0) cluster.boot(machine, true);
  } else if (happens(walk, "wipe", 0.2) && mayLose(walk, machine.id)) {
    wipe(walk, machine);
  } else if (happens(walk, "failDisk", 0.2) && !disk.failed) {
    disk.failed = true;
    cluster.handle(machine, { type: "storageFailed" });
  } else if (happens(walk, "stall", 0.4)) {
    cluster.handle(machine, { type: "stalled", lateMs: 1500, nowMs });
  } else if (happens(walk, "disconnect", 0.6)) {
    const peer = pick(random, [...cluster.machines.keys()])!;
    cluster.handle(machine, { type: "peerDisconnected", peer });
  }
}
