/** How long a newcomer waits for a leader, and when it gives up. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { VirtualClock } from "../../src/clock/virtual.js";
import type { HostContext } from "../../src/host/context.js";
import type { Membership, SnapshotMeta } from "../../src/core/types.js";
import type { HostedGroup } from "../../src/host/hosted-group.js";
import { silentLogger } from "../../src/host/options.js";
import { becomeReady } from "../../src/host/ready.js";
import { RaftError } from "../../src/errors.js";
import type { ReplySink } from "../../src/member/types.js";
import { counter, Lab } from "../member/harness.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter as shared, microtasks } from "./cluster.js";

/** A member of a group that has three others, or is one of these. */
async function waiting(id: string) {
  const lab = new Lab(counter);
  await lab.restore();
  const { membership, replica } = lab.member;
  const core = { ...replica.core, currentTerm: 0 as typeof replica.core.currentTerm };
  const asked: ReplySink[] = [];
  const barrier = (sink: ReplySink): void => void asked.push(sink);
  const member = { id, membership, replica: { core }, barrier, leader: null };
  const watchers = new Set<() => void>();
  const group = { name: "g", member, watchers, ended: null } as unknown as HostedGroup;
  const context = { id: "host", clock: lab.clock, logger: silentLogger };
  const stop = new AbortController();
  const ready = becomeReady(context as unknown as HostContext, group, 1000, stop.signal);
  const box: { end: unknown } = { end: null };
  ready.then(
    () => (box.end = "ready"),
    (error: unknown) => (box.end = error),
  );
  const pass = async (byMs: number): Promise<void> => {
    const clock: VirtualClock = lab.clock;
    for (let spentMs = 0; spentMs < byMs; spentMs += 10) clock.advance(10);
    await microtasks();
  };
  const failure = (): RaftError => {
    assert.ok(box.end instanceof RaftError, String(box.end));
    return box.end;
  };
  const answer = (): void => {
    assert.equal(asked.length, 1);
    asked.pop()!.reply(0, "ok", "no", 0, new Uint8Array());
  };
  const become = (change: Partial<Membership>): void => {
    member.membership = { ...member.membership, ...change };
    for (const watcher of [...watchers]) watcher();
  };
  return { end: () => box.end, failure, core, watchers, stop, pass, answer, become };
}

describe("a newcomer", () => {
  test("that no leader has contacted gives up, and says so", async () => {
    const { end, failure, watchers, pass } = await waiting("d#1");
    await pass(900);
    assert.equal(end(), null);
    await pass(200);
    assert.deepEqual([failure().code, failure().applied], ["timeout", "maybe"]);
    assert.match(failure().message, /d#1 of group "g" got no further for 1000 ms: no leader has/);
    assert.equal(watchers.size, 0);
  });

  test("that has no room for its leader's snapshot says so, and not that nobody has contacted it", async () => {
    const { failure, core, pass } = await waiting("d#1");
    core.currentTerm = 3;
    const meta = { sizeBytes: 5000 } as SnapshotMeta;
    core.incoming = { meta, requestedBytes: 1000, heldBytes: 0, installing: false };
    await pass(1100);
    assert.equal(failure().code, "timeout");
    assert.match(
      failure().message,
      /sends it a snapshot of 5000 bytes, of which 0 are stored; has/,
    );
  });

  test("that a leader has contacted does not say that none has", async () => {
    const { failure, core, pass } = await waiting("d#1");
    core.currentTerm = 3;
    await pass(1100);
    assert.match(failure().message, /for 1000 ms: a leader has contacted it, but/);
  });

  test("goes on for as long as it gets on", async () => {
    const { end, failure, core, pass } = await waiting("d#1");
    for (let i = 1; i <= 5; i++) {
      await pass(900);
      core.lastApplied += 1;
    }
    assert.equal(end(), null);
    await pass(1100);
    assert.equal(failure().code, "timeout");
  });

  test("on which others count is not given up", async () => {
    const { end, watchers, pass } = await waiting("a#1");
    await pass(1100);
    assert.equal(end(), "ready");
    assert.equal(watchers.size, 0);
  });

  test("is not ready before it counts: else whoever restarts the hosts one by one loses the group", async () => {
    const { end, watchers, pass, answer, become } = await waiting("a#1");
    become({
      voters: ["b#1", "c#1"],
      learners: [{ id: "a#1", promote: true, replaces: null }],
    });
    answer();
    await pass(900);
    assert.equal(end(), null);
    become({ voters: ["a#1", "b#1", "c#1"], outgoing: ["b#1", "c#1"], learners: [] });
    await pass(50);
    assert.equal(end(), null);
    become({ outgoing: [] });
    await pass(0);
    assert.equal(end(), "ready");
    assert.equal(watchers.size, 0);
  });

  test("that is made no voter although it has caught up is ready after its patience", async () => {
    const { end, core, pass, answer, become } = await waiting("a#1");
    become({ voters: ["b#1"], learners: [{ id: "a#1", promote: true, replaces: null }] });
    await pass(900);
    answer();
    for (let i = 1; i <= 3; i++) {
      core.lastApplied += 1;
      await pass(300);
    }
    assert.equal(end(), null);
    await pass(200);
    assert.equal(end(), "ready");
  });

  test("stops to wait when its host does", async () => {
    const { failure, watchers, stop, pass } = await waiting("d#1");
    stop.abort(new RaftError("closed", "the host was closed"));
    await pass(10);
    assert.equal(failure().code, "closed");
    assert.equal(watchers.size, 0);
  });
});

test("a newcomer whose storage takes nothing of the leader's snapshot is told so", async () => {
  const cluster = new Cluster();
  await cluster.start("foo");
  const create = { start: "create", config: { trailingLogBytes: 0 } } as const;
  const foo = await cluster.run(cluster.host("foo").group("g", shared, create));
  await cluster.run(foo.command("inc", 1));
  await cluster.run(foo.snapshot());
  const storage = createMemoryStorage();
  // As file storage where there is no room for it: it answers once there is.
  storage.writeSnapshotChunk = () => undefined;
  await cluster.start("bar", { storage });
  const joining = cluster.host("bar").group("g", shared, { start: { join: ["foo:1"] } });
  await assert.rejects(cluster.run(joining), {
    code: "timeout",
    message:
      /: foo#[a-z0-9]+ sends it a snapshot of \d+ bytes, of which 0 are stored; has its storage/,
  });
  await cluster.close();
});
