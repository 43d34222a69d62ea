/** After the storm: everybody who can comes back, the network is whole, and the group has to work. */
import { lastIndex } from "../../src/core/log.js";
import { isQuorum } from "../../src/core/quorum.js";
import type { CoreEvent, MemberId } from "../../src/core/types.js";
import type { Machine } from "./harness.js";
import type { Walk } from "./walk.js";

/** In election timeouts of the slowest configuration that a walk asks for. */
const patienceMs = 40 * 1800;

/** Returns true when nothing could come of it: a majority was wiped amid a change. */
export function heal(walk: Walk): boolean {
  const { cluster } = walk;
  const { ghost } = cluster;
  walk.apartFor = 0;
  walk.focusFor = 0;
  for (const machine of cluster.machines.values()) {
    if (machine.wiped) continue;
    if (machine.core === null || machine.disk.failed) {
      cluster.crash(machine, machine.disk.pending.length);
      cluster.boot(machine, true);
    }
  }
  const before = ghost.committedIndex;
  if (!runUntil(walk, () => leaderOf(walk) !== null)) {
    if (!isPossible(walk)) return true;
    ghost.violate(`no leader after healing: ${describe(walk)}`);
    return false;
  }
  let tries = 0;
  const done = runUntil(walk, () => {
    const leader = leaderOf(walk);
    if (leader === null || ghost.violations.length > 0) return ghost.violations.length > 0;
    if (tries === 0 || cluster.globalMs > tries) {
      tries = cluster.globalMs + 5000;
      proposeTo(walk, leader);
      return false;
    }
    return ghost.committedIndex > before && isEverybodyThere(walk, leader);
  });
  if (ghost.violations.length > 0) return false;
  if (!done && !isPossible(walk)) return true;
  if (!done) ghost.violate(`after healing nothing is committed on all: ${describe(walk)}`);
  // What waits for a member's own deadline settles within an election timeout or two.
  runUntil(walk, () => ghost.open.size === 0);
  for (const request of ghost.open.values()) {
    ghost.violate(`#${request.id} ${request.kind} at ${request.at} was never settled`);
  }
  return false;
}

function isPossible({ cluster }: Walk): boolean {
  const alive = (id: MemberId) => cluster.machines.get(id)?.wiped === false;
  return cluster
    .cores()
    .every(
      ({ membership }) => membership.voters.length === 0 || isQuorum(membership, (id) => alive(id)),
    );
}

function leaderOf({ cluster }: Walk): Machine | null {
  let newest: Machine | null = null;
  for (const machine of cluster.live()) {
    const { core } = machine;
    if (core!.role.type !== "leader" || core!.commitIndex < core!.role.termStartIndex) continue;
    if (newest === null || core!.currentTerm > newest.core!.currentTerm) newest = machine;
  }
  return newest;
}

/** All that the leader names and that are not gone have what it has committed, and nothing is pending. */
function isEverybodyThere({ cluster }: Walk, leader: Machine): boolean {
  const { membership, commitIndex, log } = leader.core!;
  if (commitIndex < lastIndex(log) || membership.outgoing.length > 0) return false;
  return membership.members.every(({ id }) => {
    const machine = cluster.machines.get(id);
    if (machine === undefined || machine.wiped) return true;
    return machine.value.index === commitIndex;
  });
}

function describe({ cluster }: Walk): string {
  return cluster
    .live()
    .map(({ id, core, value, removed }) => {
      const { role, currentTerm, commitIndex, log, membership } = core!;
      const last = lastIndex(log);
      const learners = membership.learners.map((learner) => learner.id);
      const voters = [membership.voters, membership.outgoing, learners].join("|");
      const name = removed ? "removed" : role.type;
      return `${id} ${name} t${currentTerm} commit ${commitIndex}/${last} value ${value.index} ${voters}`;
    })
    .join("; ");
}

function proposeTo(walk: Walk, leader: Machine): void {
  const { cluster } = walk;
  walk.bodies += 1;
  const body = new Uint8Array(8);
  new DataView(body.buffer).setUint32(0, walk.bodies);
  const request = cluster.ask(leader, "command", walk.bodies);
  cluster.handle(leader, {
    ...{ type: "commandProposed", request, kind: "command", session: 1 },
    ...{ sequence: walk.bodies, lowestOutstanding: 0, timeMs: cluster.globalMs, body },
  } satisfies CoreEvent);
}

/** Everything arrives, everything is stored, timers fire when they are due. */
function runUntil(walk: Walk, isDone: () => boolean): boolean {
  const { cluster } = walk;
  const untilMs = cluster.globalMs + patienceMs;
  while (cluster.globalMs < untilMs) {
    settleOnce(walk);
    if (isDone()) return true;
    let nextMs = Infinity;
    for (const machine of cluster.live()) {
      for (const due of machine.timers.values()) {
        nextMs = Math.min(nextMs, (due - machine.base) / machine.rate);
      }
    }
    if (nextMs === Infinity) return isDone();
    cluster.globalMs = Math.max(cluster.globalMs + 1, nextMs);
    for (const machine of cluster.live()) {
      for (const [timer, due] of [...machine.timers]) {
        if (due <= cluster.nowOf(machine) + 1e-6) cluster.fire(machine, timer);
      }
    }
  }
  return false;
}

function settleOnce({ cluster }: Walk): void {
  for (let rounds = 0; rounds < 5000; rounds++) {
    let moved = false;
    for (const machine of cluster.live()) {
      const { disk } = machine;
      if (disk.pending.length > 0) disk.persist(disk.pending.length);
      if (disk.unacknowledged.length > 0) {
        cluster.acknowledge(machine);
        moved = true;
      }
      if (disk.work.length > 0) {
        cluster.work(machine);
        moved = true;
      }
      if (machine.taking !== null) {
        cluster.finishSnapshot(machine, true);
        moved = true;
      }
    }
    const letters = cluster.bag;
    cluster.bag = [];
    for (const letter of letters) cluster.deliver(letter);
    if (letters.length === 0 && !moved) return;
    if (cluster.ghost.violations.length > 0) return;
  }
  cluster.ghost.violate("the cluster never comes to rest");
}
