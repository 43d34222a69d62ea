/** Several misfortunes in a row, behind which defects hide, and which seldom meet by chance. */
import type { GroupConfigChange } from "../core/types.js";
import { crashMachine } from "./faults-machine.js";
import { anyPlan, ask as askOperator, noteRemoval, removalTimeoutMs } from "./faults-cluster.js";
import type { Machine } from "./machine.js";
import type { FaultKind, Strike } from "./nemesis.js";
import { between, pick } from "./world.js";

export const combinedFaults: readonly FaultKind[] = [
  { name: "backlog", everyTimeouts: 6, strike: backlog },
  { name: "added-again", everyTimeouts: 6, strike: addedAgain },
];

/** Wide enough for the clocks' drift. */
const marginShare = 0.15;

/**
 * A leader has much to apply: what it hands out is acknowledged all at once, a configuration among it, and its turns
 * take long. Then it is cut off, and the others, which were faster, take snapshots and are restarted: all
 * that they know of its patience is in those.
 */
function backlog(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs, later } = strike;
  const { world } = cluster;
  const plan = anyPlan(strike);
  const leader = cluster.leader(plan.name);
  const process = leader?.machine.process;
  if (leader === null || process === undefined || process === null) return false;
  if (process.paused || cluster.machines.length < 2) return false;
  const { machine, member } = leader;
  const ask = (change: GroupConfigChange): void =>
    askOperator(strike, cluster.operator(plan).changeConfig(change, { timeoutMs: 2000 }));
  const { config, maxAppliedPerTurn } = member.replica.core;
  const counts = config.clockDriftMarginMs < electionTimeoutMs && config.trailingLogBytes === 0;
  if (config.electionTimeoutMs < electionTimeoutMs || (!counts && random.next() < 0.7)) {
    // The next one is to have something to shorten, and nothing older than a snapshot to be remembered.
    ask({ ...patience(electionTimeoutMs, 1), trailingLogBytes: 0 });
    return false;
  }
  const entries = 20 + random.below(30);
  const shortest = random.next() < 0.8 ? entries - 1 - random.below(10) : -1;
  // Much shorter leaves more time between an election and the end of a lease that counts on the longer one.
  const share = electionTimeoutMs < 1000 ? 0.5 : 0.3;
  const acknowledges = cutBetween(strike, machine, "to");
  for (let at = 0; at < entries; at++) {
    if (at === shortest) ask(patience(electionTimeoutMs, share));
    else ask({ maxSessions: pick(random, [3, 10, 1000]) });
  }
  const turns = Math.max(10, entries / maxAppliedPerTurn);
  const busyMs = (between(random, 0.4, 1) * electionTimeoutMs) / turns;
  const goesOnMs = between(random, 3, 20);
  world.after(goesOnMs, () => {
    process.busyMs = busyMs;
    acknowledges();
  });
  const cutMs = goesOnMs + 2 + between(random, 2, 6) * busyMs;
  world.after(cutMs, () => cutOffAndRestart(strike, machine));
  later(cutMs + between(random, 0.7, 3) * electionTimeoutMs, () => {
    process.busyMs = 0;
    ask(patience(electionTimeoutMs, 1));
  });
  return true;
}

function patience(electionTimeoutMs: number, share: number): GroupConfigChange {
  return {
    electionTimeoutMs: Math.round(electionTimeoutMs * share),
    heartbeatMs: Math.max(5, Math.round(electionTimeoutMs * 0.1)),
    clockDriftMarginMs: Math.ceil(electionTimeoutMs * marginShare),
  };
}

/** Until what is returned is called, or the storm is over. */
function cutBetween(strike: Strike, machine: Machine, way: "to" | "both"): () => void {
  const { cluster, electionTimeoutMs, later } = strike;
  const { machines, network } = cluster;
  const others = machines.filter((other) => other !== machine);
  for (const { name } of others) {
    network.cut(name, machine.name);
    if (way === "both") network.cut(machine.name, name);
  }
  const mend = (): void => {
    for (const { name } of others) {
      network.mend(name, machine.name);
      if (way === "both") network.mend(machine.name, name);
    }
  };
  later(3 * electionTimeoutMs, mend);
  return mend;
}

function cutOffAndRestart(strike: Strike, machine: Machine): void {
  const { cluster, random, electionTimeoutMs, later } = strike;
  const { world } = cluster;
  later(between(random, 0.8, 3) * electionTimeoutMs, cutBetween(strike, machine, "both"));
  const shortMs = 0.04 * electionTimeoutMs;
  for (const other of cluster.machines) {
    if (other === machine) continue;
    for (const plan of cluster.plans) {
      const options = { host: other.address, timeoutMs: 2000 };
      askOperator(strike, cluster.operator(plan).admin("snapshot", null, options));
    }
    if (random.next() < 0.1) continue;
    world.after(3 + between(random, 0, shortMs), () => {
      if (!other.running || !crashMachine(strike, other)) return;
      world.after(between(random, 0, shortMs), () => {
        if (!other.running) other.boot(false);
      });
    });
  }
}

/**
 * A member is taken out and cannot be told; then its request to join comes once more, out of a network that had
 * kept it: it is let in again before it knows that it was out.
 */
function addedAgain(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs, later } = strike;
  const { network } = cluster;
  const plan = anyPlan(strike);
  const leader = cluster.leader(plan.name);
  const followers = cluster
    .members(plan.name)
    .filter(({ machine }) => machine.wanted && machine !== leader?.machine);
  if (leader === null || followers.length === 0) return false;
  const { machine, member } = pick(random, followers);
  if (machine.disk === null && !cluster.mayForget(machine)) return false;
  if (!cluster.mayRemove()) return false;
  noteRemoval(strike);
  const { id } = member;
  // From the leader alone, or from everybody: what it is told by the others is another way to learn of it.
  const alone = random.next() < 0.5;
  for (const { name } of alone ? [leader.machine] : cluster.machines) {
    if (name === machine.name) continue;
    network.cut(name, machine.name);
    later(between(random, 0.5, 6) * electionTimeoutMs, () => network.mend(name, machine.name));
  }
  const removed = cluster.operator(plan).removeMember(id, { timeoutMs: removalTimeoutMs });
  askOperator(strike, removed);
  const waitMs = between(random, 0, 3) * electionTimeoutMs;
  removed.then(
    () => cluster.world.after(waitMs, () => letInAgain(strike, machine, plan.name, id)),
    () => undefined,
  );
  return true;
}

function letInAgain(strike: Strike, machine: Machine, group: string, id: string): void {
  const { cluster } = strike;
  // Told meanwhile: it would never come.
  if (machine.member(group)?.id !== id) return;
  const plan = cluster.plans.find(({ name }) => name === group)!;
  const { name, version, compatibleVersions } = machine.member(group)!.replica.applier.definition;
  const request = {
    ...{ memberId: id, address: machine.address },
    ...{ valueName: name, valueVersion: version, compatibleVersions },
  };
  const joined = cluster.operator(plan).admin("join", request, { timeoutMs: 2000 });
  askOperator(strike, joined);
  const sweep = (): void => sweepOut(strike, machine, group, id);
  joined.then(sweep, sweep);
}

/** It was told all the same, and is gone, but a learner: one that will never come. */
function sweepOut(strike: Strike, machine: Machine, group: string, id: string): void {
  const { cluster, electionTimeoutMs } = strike;
  const isHere =
    machine.member(group)?.id === id || machine.disk?.groups.get(group)?.identity.memberId === id;
  const leader = cluster.leader(group);
  const core = leader?.member.replica.core;
  if (core !== undefined && !isHere) {
    if (!core.membership.members.some((one) => one.id === id)) return;
    const plan = cluster.plans.find(({ name }) => name === group)!;
    if (core.membership.learners.some((one) => one.id === id)) {
      askOperator(strike, cluster.operator(plan).removeMember(id, { timeoutMs: 2000 }));
    }
  }
  cluster.world.after(5 * electionTimeoutMs, () => sweepOut(strike, machine, group, id));
}
