/** Faults of machines: processes, clocks, disks. */
import type { Machine } from "./machine.js";
import type { FaultKind, Strike } from "./nemesis.js";
import { between, pick } from "./world.js";

export const machineFaults: readonly FaultKind[] = [
  { name: "crash", everyTimeouts: 4, strike: crash },
  { name: "reopen", everyTimeouts: 6, strike: reopen },
  { name: "crash-leader", everyTimeouts: 8, strike: crashLeader },
  { name: "move", everyTimeouts: 12, strike: move },
  { name: "power-cut", everyTimeouts: 20, strike: powerCut },
  { name: "disk-loss", everyTimeouts: 15, strike: diskLoss },
  { name: "bit-rot", everyTimeouts: 15, strike: bitRot },
  { name: "pause", everyTimeouts: 4, strike: pause },
  { name: "stutter", everyTimeouts: 6, strike: stutter },
  { name: "busy", everyTimeouts: 6, strike: busy },
  { name: "drift", everyTimeouts: 6, strike: drift },
  { name: "wall-jump", everyTimeouts: 5, strike: wallJump },
  { name: "slow-disk", everyTimeouts: 5, strike: slowDisk },
  { name: "disk-hangs", everyTimeouts: 12, strike: diskHangs },
  { name: "out-of-files", everyTimeouts: 8, strike: outOfFiles },
  { name: "disk-fails", everyTimeouts: 12, strike: diskFails },
];

/** Clocks run at most so much too fast or too slow; leases are to bear it. */
export const maxDrift = 0.04;

function anyRunning({ cluster, random }: Strike): Machine | null {
  const running = cluster.machines.filter((machine) => machine.running);
  return running.length === 0 ? null : pick(random, running);
}

function crash(strike: Strike): boolean {
  const machine = anyRunning(strike);
  return machine !== null && crashMachine(strike, machine);
}

function crashLeader(strike: Strike): boolean {
  const { cluster, random } = strike;
  const leader = cluster.leader(pick(random, cluster.plans).name);
  return leader !== null && crashMachine(strike, leader.machine);
}

/** Without a disk the member is gone with its memory: never so many that the group is gone too. */
export function crashMachine(strike: Strike, machine: Machine): boolean {
  const { cluster, random, electionTimeoutMs, later } = strike;
  if (machine.disk === null && !cluster.mayForget(machine)) return false;
  machine.kill();
  later(between(random, 0.05, 6) * electionTimeoutMs, () => {
    if (!machine.running) machine.boot(false);
  });
  return true;
}

/** As a program does that closes its host and starts it anew; rather where a group is being opened. */
function reopen(strike: Strike): boolean {
  const { cluster, random } = strike;
  const opening = cluster.machines.filter(
    ({ running, host, handles }) => running && host !== null && handles.size < cluster.plans.length,
  );
  const machine =
    opening.length > 0 && random.next() < 0.7 ? pick(random, opening) : anyRunning(strike);
  if (machine === null) return false;
  if (machine.disk === null && !strike.cluster.mayForget(machine)) return false;
  return machine.reopen();
}

/** A machine comes back at another address, with its disk if it has one. */
function move(strike: Strike): boolean {
  const machine = anyRunning(strike);
  if (machine === null || !crashMachine(strike, machine)) return false;
  machine.move();
  return true;
}

/** Everything at once; only disks remember. The building's network may be another one afterwards. */
function powerCut(strike: Strike): boolean {
  const { cluster, random } = strike;
  if (cluster.machines.some((machine) => machine.disk === null)) return false;
  const moves = random.next() < 0.3;
  for (const machine of cluster.machines) {
    if (machine.running) crashMachine(strike, machine);
    if (moves && !machine.running) machine.move();
  }
  return true;
}

/** A machine is replaced: it comes back under its name with an empty disk. */
function diskLoss(strike: Strike): boolean {
  const { cluster } = strike;
  const machine = anyRunning(strike);
  if (machine === null || machine.disk === null || !cluster.mayForget(machine)) return false;
  if (!crashMachine(strike, machine)) return false;
  machine.wipe();
  return true;
}

/** A machine comes back with a disk on which one of its groups is damaged; the others are good. */
function bitRot(strike: Strike): boolean {
  const { cluster, random } = strike;
  const machine = anyRunning(strike);
  if (machine === null || machine.disk === null || !cluster.mayForget(machine)) return false;
  const { name } = pick(random, cluster.plans);
  if (!machine.disk.groups.has(name) || !crashMachine(strike, machine)) return false;
  return machine.disk.damage(name);
}

function pause(strike: Strike): boolean {
  const { random, electionTimeoutMs, later } = strike;
  const machine = anyRunning(strike);
  const process = machine?.process;
  if (process === undefined || process === null || process.paused) return false;
  process.pause();
  const long = random.next() < 0.2 ? 15 : 3;
  later(between(random, 0.05, long) * electionTimeoutMs, () => process.resume());
  return true;
}

/** A slow host: it stops and goes, again and again. */
function stutter(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs } = strike;
  const process = anyRunning(strike)?.process;
  if (process === undefined || process === null) return false;
  let atMs = 0;
  for (let round = 0; round < 10; round++) {
    cluster.world.after(atMs, () => process.pause());
    atMs += between(random, 0.02, 0.4) * electionTimeoutMs;
    cluster.world.after(atMs, () => process.resume());
    atMs += between(random, 0.005, 0.1) * electionTimeoutMs;
  }
  return true;
}

/** Its turns take long, each of them less than it takes to be noticed. */
function busy(strike: Strike): boolean {
  const { random, electionTimeoutMs, later } = strike;
  const process = anyRunning(strike)?.process;
  if (process === undefined || process === null || process.busyMs > 0) return false;
  process.busyMs = between(random, 0.002, 0.02) * electionTimeoutMs;
  later(between(random, 0.5, 5) * electionTimeoutMs, () => {
    process.busyMs = 0;
  });
  return true;
}

function drift(strike: Strike): boolean {
  const { cluster, random, electionTimeoutMs, later } = strike;
  for (const machine of cluster.machines) {
    machine.setRate(1 + between(random, -maxDrift, maxDrift));
    later(between(random, 5, 20) * electionTimeoutMs, () => machine.setRate(1));
  }
  return true;
}

/** Wall clocks only: an operator, or NTP. */
function wallJump(strike: Strike): boolean {
  const { random } = strike;
  const machine = anyRunning(strike);
  if (machine === null) return false;
  machine.jumpWall(pick(random, [-3_600_000, -5000, 5000, 3_600_000]));
  return true;
}

function slowDisk(strike: Strike): boolean {
  const { random, electionTimeoutMs, later } = strike;
  const disk = anyRunning(strike)?.disk;
  if (disk === undefined || disk === null) return false;
  const before = { ...disk.settings };
  disk.settings.minSyncMs = between(random, 0, 0.2) * electionTimeoutMs;
  disk.settings.maxSyncMs = disk.settings.minSyncMs + between(random, 0, 1) * electionTimeoutMs;
  later(between(random, 1, 6) * electionTimeoutMs, () => Object.assign(disk.settings, before));
  return true;
}

/** Neither an answer nor an error, as of a network disk whose server is gone: for a while, or until a crash. */
function diskHangs(strike: Strike): boolean {
  const { random, electionTimeoutMs, later } = strike;
  const disk = anyRunning(strike)?.disk;
  if (disk === undefined || disk === null || !disk.hang()) return false;
  later(between(random, 0.5, 8) * electionTimeoutMs, () => disk.goOn());
  return true;
}

/** Snapshots are not read for a while: a newcomer waits, and nobody takes one anew for it. */
function outOfFiles(strike: Strike): boolean {
  const { random, electionTimeoutMs, later } = strike;
  const disk = anyRunning(strike)?.disk;
  if (disk === undefined || disk === null || disk.outOfFiles) return false;
  disk.outOfFiles = true;
  later(between(random, 0.2, 6) * electionTimeoutMs, () => {
    disk.outOfFiles = false;
  });
  return true;
}

/** Fail-stop: the members give up; an operator starts the process anew. */
function diskFails(strike: Strike): boolean {
  const { random, electionTimeoutMs, later } = strike;
  const machine = anyRunning(strike);
  const process = machine?.process;
  if (machine === null || machine.disk === null || !machine.disk.failWrites()) return false;
  later(between(random, 0.5, 6) * electionTimeoutMs, () => {
    if (machine.process !== process) return;
    machine.kill();
    machine.boot(false);
  });
  return true;
}
