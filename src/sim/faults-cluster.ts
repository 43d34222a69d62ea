/** What operators and clients do at the worst moments: not faults, but as good as. */
import { RaftError } from "../errors.js";
import { crashMachine } from "./faults-machine.js";
import type { GroupPlan } from "./machine.js";
import type { FaultKind, Strike } from "./nemesis.js";
import { between, pick, shuffled } from "./world.js";

export const clusterFaults: readonly FaultKind[] = [
  { name: "remove-member", everyTimeouts: 6, strike: removeMember },
  { name: "transfer", everyTimeouts: 3, strike: transfer },
  { name: "snapshot", everyTimeouts: 2, strike: snapshot },
  { name: "config", everyTimeouts: 5, strike: changeConfig },
  { name: "client-churn", everyTimeouts: 4, strike: clientChurn },
  { name: "upgrade", everyTimeouts: 8, always: true, strike: upgrade },
  { name: "diverge", everyTimeouts: 3, strike: diverge },
];

/** An operator's call: a refusal is an answer, anything else a defect. */
export function ask({ cluster }: Strike, call: Promise<unknown>): void {
  const { world } = cluster;
  const began = world.nowMs();
  call.then(
    () => world.trace.note(world.nowMs(), "operator", () => `done, asked at ${began}`),
    (cause: unknown) => {
      world.trace.note(world.nowMs(), "operator", () => `refused: ${String(cause)}`);
      if (cause instanceof RaftError && cause.code !== "internal") return;
      world.fail(new Error(`the operator heard ${String(cause)}`, { cause }));
    },
  );
}

export function anyPlan({ cluster, random }: Strike): GroupPlan {
  return pick(random, cluster.plans);
}

export const removalTimeoutMs = 3000;

/** A request that timed out may still be on its way. */
export function noteRemoval({ cluster, electionTimeoutMs, later }: Strike): void {
  cluster.removals += 1;
  later(removalTimeoutMs + 10 * electionTimeoutMs, () => {
    cluster.removals -= 1;
  });
}

/** Takes one out of every group; a while later it is wanted again and joins as a newcomer. */
function removeMember(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs, later } = strike;
  const wanted = cluster.machines.filter((machine) => machine.wanted);
  if (wanted.length < 2) return false;
  const machine = pick(random, wanted);
  // Where memory is all there is, nobody may be lost while members come and go.
  if (machine.disk === null && !cluster.mayForget(machine)) return false;
  if (!cluster.mayRemove()) return false;
  noteRemoval(strike);
  machine.wanted = false;
  for (const plan of cluster.plans) {
    ask(strike, cluster.operator(plan).removeMember(machine.name, { timeoutMs: removalTimeoutMs }));
  }
  later(between(random, 1, 8) * electionTimeoutMs, () => {
    machine.wanted = true;
  });
  return true;
}

function transfer(strike: Strike): boolean {
  const { cluster, random } = strike;
  const plan = anyPlan(strike);
  const target = random.next() < 0.15 ? null : pick(random, cluster.machines).name;
  ask(strike, cluster.operator(plan).transferLeadership(target, { timeoutMs: 2000 }));
  return true;
}

function snapshot(strike: Strike): boolean {
  const { cluster, random } = strike;
  const plan = anyPlan(strike);
  const options = { host: pick(random, cluster.machines).address, timeoutMs: 2000 };
  ask(strike, cluster.operator(plan).admin("snapshot", null, options));
  return true;
}

function changeConfig(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs } = strike;
  const plan = anyPlan(strike);
  // Never longer than the plan's own: that is what progress is measured by.
  const ownTimeoutMs = Math.round(electionTimeoutMs * pick(random, [0.5, 0.75, 1]));
  // Wide enough for the clocks' drift at every timeout; without a lease, reads ask the others again.
  const marginMs = Math.ceil(electionTimeoutMs * 0.15);
  const lease = random.next() < 0.5;
  const change = pick(random, [
    { electionTimeoutMs: ownTimeoutMs, clockDriftMarginMs: lease ? marginMs : ownTimeoutMs },
    { maxReplyBytesPerSession: pick(random, [1024, 1_048_576]) },
    { maxSessions: pick(random, [3, 10, 1000]) },
    { maxAppendBytes: pick(random, [1024, 65_536]), maxInflightMessages: pick(random, [1, 4, 64]) },
    { minSnapshotLogBytes: pick(random, [0, 2000, 100_000]) },
  ]);
  ask(strike, cluster.operator(plan).changeConfig(change, { timeoutMs: 2000 }));
  return true;
}

/** Machines come back one after the other with the newer version of the value, also when the storm is over. */
function upgrade({ cluster, random, electionTimeoutMs }: Strike): boolean {
  return cluster.rollout.begin(random, electionTimeoutMs);
}

/** A client dies with its calls under way; another takes its place. */
function clientChurn(strike: Strike): boolean {
  const { cluster, random } = strike;
  const client = cluster.clients.length === 0 ? null : pick(random, cluster.clients);
  if (client === null || cluster.replaceClient === null) return false;
  client.process.kill();
  cluster.replaceClient(client);
  return true;
}

/**
 * A leader is cut off from the others, some of them a little later, and goes on taking entries: logs
 * that disagree over many entries, which a few commands of the clients hardly ever make. Changes of the
 * configuration, because every value has those and no history has to account for them.
 */
function diverge(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs, later } = strike;
  const { world, network } = cluster;
  const plan = anyPlan(strike);
  const leader = cluster.leader(plan.name);
  if (leader === null || cluster.machines.length < 2) return false;
  const { name } = leader.machine;
  const others = shuffled(
    random,
    cluster.machines.filter(({ running, name: other }) => running && other !== name),
  );
  const late = random.below(others.length + 1);
  const sparedMs = between(random, 0, 0.3) * electionTimeoutMs;
  const cut: string[] = [];
  let over = false;
  others.forEach((other, at) => {
    world.after(at < late ? between(random, 0, sparedMs) : 0, () => {
      if (over) return;
      cut.push(other.name);
      network.cut(name, other.name);
      network.cut(other.name, name);
    });
  });
  const entries = 2 + random.below(12);
  for (let at = 0; at < entries; at++) {
    const change = { maxSessions: pick(random, [3, 10, 1000]) };
    world.after(between(random, 0, sparedMs), () =>
      ask(strike, cluster.operator(plan).changeConfig(change, { timeoutMs: 2000 })),
    );
  }
  if (random.next() < 0.3) {
    world.after(sparedMs, () => {
      if (!over) removeMember(strike);
    });
  }
  const awayMs = sparedMs + between(random, 1, 8) * electionTimeoutMs;
  // A second leader of theirs begins its probes behind the first one's entries.
  const next = random.next() < 0.5 ? pick(random, others) : undefined;
  if (next !== undefined) {
    world.after(awayMs * between(random, 0.4, 1), () =>
      ask(strike, cluster.operator(plan).transferLeadership(next.name, { timeoutMs: 2000 })),
    );
  }
  const crashes = random.next() < 0.4;
  later(awayMs, () => {
    over = true;
    for (const other of cut) {
      network.mend(name, other);
      network.mend(other, name);
    }
    // Whoever could tell it what was committed meanwhile is gone when it comes back.
    const teller = crashes ? cluster.leader(plan.name) : null;
    if (teller !== null && teller.machine !== leader.machine) crashMachine(strike, teller.machine);
  });
  return true;
}
