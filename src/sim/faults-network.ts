/** Faults of the network. */
import type { SimCluster } from "./cluster.js";
import type { FaultKind, Strike } from "./nemesis.js";
import { between, pick, shuffled } from "./world.js";

type Cut = readonly [from: string, to: string];

export const networkFaults: readonly FaultKind[] = [
  { name: "delay", everyTimeouts: 4, strike: delay },
  { name: "reset", everyTimeouts: 1, strike: reset },
  { name: "messages", everyTimeouts: 4, strike: messages },
  { name: "partition", everyTimeouts: 4, strike: partition },
  { name: "one-way", everyTimeouts: 4, strike: oneWay },
  { name: "isolate-leader", everyTimeouts: 6, strike: isolateLeader },
  { name: "flapping", everyTimeouts: 6, strike: flapping },
];

function machineNames(cluster: SimCluster): string[] {
  return cluster.machines.map(({ name }) => name);
}

function clientNames(cluster: SimCluster): string[] {
  return cluster.clients.map(({ process }) => process.name);
}

function delay({ cluster, random, electionTimeoutMs, later }: Strike): boolean {
  const { settings } = cluster.network;
  const before = { min: settings.minDelayMs, max: settings.maxDelayMs };
  settings.maxDelayMs = between(random, 0.02, 1.2) * electionTimeoutMs;
  settings.minDelayMs = random.next() < 0.3 ? settings.maxDelayMs / 2 : before.min;
  later(between(random, 1, 8) * electionTimeoutMs, () => {
    settings.minDelayMs = before.min;
    settings.maxDelayMs = before.max;
  });
  return true;
}

function reset({ cluster, random }: Strike): boolean {
  const [one, other] = shuffled(random, [...machineNames(cluster), ...clientNames(cluster)]);
  if (one === undefined || other === undefined) return false;
  return cluster.network.reset(one, other) + cluster.network.reset(other, one) > 0;
}

/** Beyond what TCP can do to them. */
function messages({ cluster, random, electionTimeoutMs, later }: Strike): boolean {
  const { settings } = cluster.network;
  settings.dropRate = pick(random, [0, 0.02, 0.2, 0.5]);
  settings.duplicateRate = pick(random, [0, 0.05, 0.3]);
  settings.reorderRate = pick(random, [0, 0.05, 0.4]);
  later(between(random, 2, 10) * electionTimeoutMs, () => {
    settings.dropRate = settings.duplicateRate = settings.reorderRate = 0;
  });
  return true;
}

/** Cuts and mends again after a while: only what this fault has cut. */
function cutFor(
  { cluster, random, electionTimeoutMs, later }: Strike,
  cuts: readonly Cut[],
): boolean {
  if (cuts.length === 0) return false;
  for (const [from, to] of cuts) cluster.network.cut(from, to);
  later(between(random, 0.5, 12) * electionTimeoutMs, () => {
    for (const [from, to] of cuts) cluster.network.mend(from, to);
  });
  return true;
}

function bothWays(pairs: readonly Cut[]): Cut[] {
  return pairs.flatMap(([a, b]): Cut[] => [
    [a, b],
    [b, a],
  ]);
}

function between2(side: readonly string[], other: readonly string[]): Cut[] {
  return side.flatMap((a) => other.map((b): Cut => [a, b]));
}

/** Halves, a ring in which each sees two neighbours, or two halves that only one machine bridges. */
function partition(strike: Strike): boolean {
  const { cluster, random } = strike;
  const names = shuffled(random, machineNames(cluster));
  if (names.length < 2) return false;
  const shape = pick(random, ["halves", "halves", "ring", "bridge"] as const);
  if (shape === "ring") return cutFor(strike, bothWays(notNeighbours(names)));
  const middle = 1 + random.below(names.length - 1);
  const left = names.slice(0, middle);
  const right = names.slice(middle);
  if (shape === "bridge") right.shift();
  const leftClients = clientNames(cluster).filter(() => random.next() < 0.5);
  const cuts = [...between2(left, right), ...between2(leftClients, right)];
  return cutFor(strike, bothWays(cuts));
}

function notNeighbours(names: readonly string[]): Cut[] {
  const cuts: Cut[] = [];
  for (let a = 0; a < names.length; a++) {
    for (let b = a + 2; b < names.length; b++) {
      if (a !== 0 || b !== names.length - 1) cuts.push([names[a]!, names[b]!]);
    }
  }
  return cuts;
}

function oneWay(strike: Strike): boolean {
  const { cluster, random } = strike;
  const victim = pick(random, machineNames(cluster));
  const others = machineNames(cluster).filter((name) => name !== victim && random.next() < 0.7);
  const inward = random.next() < 0.5;
  return cutFor(
    strike,
    others.map((other): Cut => (inward ? [other, victim] : [victim, other])),
  );
}

/** From its peers, mostly not from its clients: they must not be told what is no longer true. */
function isolateLeader(strike: Strike): boolean {
  const { cluster, random } = strike;
  const leader = cluster.leader(pick(random, cluster.plans).name);
  if (leader === null) return false;
  const { name } = leader.machine;
  const others = machineNames(cluster).filter((other) => other !== name);
  const clients = random.next() < 0.3 ? clientNames(cluster) : [];
  return cutFor(strike, bothWays(between2([name], [...others, ...clients])));
}

/** A link that comes and goes. */
function flapping(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs } = strike;
  const [a, b] = shuffled(random, machineNames(cluster));
  if (a === undefined || b === undefined) return false;
  const periodMs = between(random, 0.1, 0.8) * electionTimeoutMs;
  for (let round = 0; round < 8; round++) {
    cluster.world.after(round * periodMs, () => {
      if (round % 2 === 1) cluster.network.mend(a, b);
      else {
        cluster.network.cut(a, b);
        if (random.next() < 0.5) cluster.network.reset(a, b);
      }
    });
  }
  return true;
}
