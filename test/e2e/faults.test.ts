/**
 * Faults under load, with real processes: each role is killed, and paused for five seconds, while a
 * client keeps 64 or 256 increments under way. No increment may be lost or applied twice, and every
 * call has to settle.
 *
 * (Measured on the Elixir original: its leader, paused under 256 retrying clients, applied 6,841 of
 * 16,890 increments twice, and one paused follower took the group to no answers at all.)
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { counter } from "../../src/cli/values.js";
import type { Report } from "./load-client.js";
import { Load } from "./load.js";
import { TestGroup, waitFor } from "./processes.js";

const pauseMs = 5000;
/** So many increments prove that the group works. */
const some = 300;
const config = ["--heartbeat-ms", "100", "--election-timeout-ms", "500"];

type Scene = {
  readonly group: TestGroup;
  readonly load: Load;
  /** The member that something happens to. */
  readonly victim: string;
};

/** Sets the scene, lets `act` do harm under load, and takes stock with who is left. */
async function underLoad(
  outstanding: number,
  role: "leader" | "follower",
  act: (scene: Scene) => Promise<void>,
): Promise<Report> {
  const group = new TestGroup("counter", "counter", counter, config);
  let load: Load | null = null;
  try {
    await group.startAll("foo", "bar", "baz");
    const leader = await group.leader();
    const victim =
      role === "leader" ? leader : [...group.members.keys()].find((id) => id !== leader)!;
    load = new Load(group.addresses, group.name, outstanding);
    await load.progress(some);
    await act({ group, load, victim });
    await load.progress(some);
    const report = await load.finish();
    await takeStock(group, report);
    return report;
  } finally {
    load?.kill();
    await group.end();
  }
}

/** Every call settled, nothing lost, nothing doubled, and all members have the same value. */
async function takeStock(group: TestGroup, report: Report): Promise<void> {
  const said = JSON.stringify(report);
  const { issued, acknowledged, refused, unknown } = report;
  assert.equal(issued, acknowledged + refused + unknown, said);
  // The group was able to work most of the time that a call has: not one may have failed.
  assert.deepEqual(report.codes, [], said);
  assert.equal(report.repeated, 0, `each increment has a sum of its own: ${said}`);
  const ids = [...group.members.keys()];
  const sum = (await group.client(ids[0]!).query("get")) as number;
  assert.ok(sum >= acknowledged, `lost: the counter is at ${sum}; ${said}`);
  assert.ok(sum <= acknowledged + unknown, `doubled: the counter is at ${sum}; ${said}`);
  for (const id of ids) {
    await waitFor(
      `${id} to have caught up`,
      async () => (await group.client(id).queryStale("get")) === sum,
    );
  }
}

for (const outstanding of [64, 256]) {
  describe(`with ${outstanding} increments under way`, () => {
    for (const role of ["leader", "follower"] as const) {
      test(`a ${role} that is killed costs no increment`, async () => {
        await underLoad(outstanding, role, async ({ group, victim }) => {
          await group.kill(victim);
        });
      });
    }

    test("a leader that is paused for five seconds neither loses nor repeats one", async () => {
      await underLoad(outstanding, "leader", async ({ group, load, victim }) => {
        group.signal(victim, "SIGSTOP");
        const others = [...group.members.keys()].filter((id) => id !== victim);
        await Promise.all([
          pause(pauseMs),
          // The others go on without it long before it wakes up.
          load.progress(some),
        ]);
        const leader = await group.leader(...others);
        assert.notEqual(leader, victim);
        group.signal(victim, "SIGCONT");
        await waitFor("the old leader to follow", async () => {
          const { role, leader } = await group.status(victim);
          return role === "follower" && leader !== null;
        });
      });
    });

    test("a follower that is paused for five seconds costs the others nothing", async () => {
      await underLoad(outstanding, "follower", async ({ group, load, victim }) => {
        const leader = await group.leader();
        const before = await group.status(leader);
        const from = load.acknowledged;
        group.signal(victim, "SIGSTOP");
        await pause(pauseMs);
        const meanwhile = load.acknowledged - from;
        group.signal(victim, "SIGCONT");
        await waitFor("the paused follower to have caught up", async () => {
          const [far, near] = await Promise.all([group.status(leader), group.status(victim)]);
          const seen = far.members.find(({ id }) => id === near.id);
          return near.lastApplied > before.lastApplied + meanwhile && seen?.unresponsive === false;
        });
        const after = await group.status(leader);
        assert.equal(after.term, before.term, "the same leader in the same term");
        assert.equal(after.role, "leader");
        assert.ok(meanwhile > some, `only ${meanwhile} increments while a follower was paused`);
      });
    });
  });
}
