/** Two versions of a value in one group, and a command that only the newer one has. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GroupConfig } from "../../src/core/types.js";
import { defineValue } from "../../src/value/define.js";
import { show } from "./log.js";
import { electedThree, type Replicas } from "./replicas.js";

const shared = {
  name: "total",
  initial: () => 0,
  queries: { get: (n: number) => n },
};
const inc = (n: number, by: number) => ({ reply: n + by, value: n + by });

const older = defineValue({ ...shared, version: 1, compatibleVersions: [2], commands: { inc } });
const newer = defineValue({
  ...shared,
  version: 2,
  compatibleVersions: [1],
  commands: { inc, double: (n: number) => ({ reply: n * 2, value: n * 2 }) },
});

const ids = ["a", "b", "c"] as const;

function values(group: Replicas): unknown[] {
  return ids.map((id) => group.node(id).replica.applier.value);
}

function elect(group: Replicas, id: string): void {
  // The others have not heard a leader for long.
  group.nowMs += 10_000;
  group.fire(id, "election");
  group.beat();
  assert.equal(group.leader().id, id);
}

/** "a" leads and has the newer version; the others have the older one. */
function mixed(config: Partial<GroupConfig> = {}) {
  const { group } = electedThree(older, config);
  const session = group.register();
  group.command("a", session, 1, "inc", 5);
  group.restart("a", newer);
  elect(group, "a");
  return { group, session };
}

test("a command that the leader's version does not have is not logged, so that no later version applies it", () => {
  const { group } = electedThree(older);
  const session = group.register();
  group.command("a", session, 1, "inc", 5);
  group.clients = newer;
  const { outcome } = group.command("a", session, 2, "double");
  assert.match(show(outcome!) as string, /^unknownCommand\/no: .* version 1 defines no .*"double"/);
  for (const id of ids) group.restart(id, newer);
  elect(group, "b");
  assert.deepEqual(values(group), [5, 5, 5]);
  assert.equal(show(group.command("b", session, 2, "double").outcome!), 10);
  group.beat();
  assert.deepEqual(values(group), [10, 10, 10]);
});

test("who is no leader leaves it to the leader whether there is such a command", () => {
  const { group, session } = mixed();
  group.clients = newer;
  assert.deepEqual(group.command("b", session, 2, "double"), { by: "notLeader" });
});

test("members of the older version report such an entry, and have its effect once they are restarted with the newer one", () => {
  const { group, session } = mixed();
  assert.equal(show(group.command("a", session, 2, "double").outcome!), 10);
  const { index } = group.node("a").disk.entries.findLast((entry) => entry.sequence === 2)!;
  group.beat();
  group.beat();
  assert.deepEqual(values(group), [10, 5, 5]);
  group.clients = newer;
  const { outcome } = group.command("b", session, 2, "double");
  assert.match(show(outcome!) as string, /^unknownCommand\/maybe: /, "others have applied it");
  assert.deepEqual(
    ids.map((id) => group.node(id).diverged),
    [[], [index], [index]],
  );
  for (const id of ["b", "c"]) group.restart(id, newer);
  for (let i = 0; i < 3; i++) group.beat();
  assert.deepEqual(values(group), [10, 10, 10]);
  assert.deepEqual(group.node("b").diverged, []);
});

test("a member that took a snapshot without its effect reports it again after the restart", () => {
  const { group, session } = mixed({ minSnapshotLogBytes: 600, snapshotLogFactor: 1 });
  group.command("a", session, 2, "double");
  group.beat();
  const { index } = group.node("a").disk.entries.findLast((entry) => entry.sequence === 2)!;
  const taken = () => group.node("b").replica.core.snapshot?.index ?? 0;
  for (let i = 3; taken() < index; i++) group.command("a", session, i, "inc", 1);
  group.restart("b", newer);
  for (let i = 0; i < 3; i++) group.beat();
  const [a, b] = values(group);
  assert.notEqual(b, a);
  assert.equal(group.node("b").diverged.length, 1);
});
