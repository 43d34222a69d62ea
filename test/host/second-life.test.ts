/** What was said to a member's former life is not for the one that came after it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "../../src/host/asking.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter } from "./cluster.js";

test("a read is not confirmed by what was answered to a former life, though both began at one time of the wall clock", async () => {
  const cluster = new Cluster(7);
  const storage = createMemoryStorage({ durable: true });
  const [foo] = await cluster.group("counter", counter, ["foo", "bar"]);
  const open = () =>
    cluster.run(cluster.host("baz").group("counter", counter, { start: { join: ["foo:1"] } }));
  const member = () => cluster.host("baz").memberOf("counter")!;
  /** Begins a life of baz at the same time. */
  const beganMs = cluster.clock.wallMs() + 10_000;
  const live = async (): Promise<number> => {
    await cluster.start("baz", { storage });
    cluster.clock.jumpWall(beganMs - cluster.clock.wallMs());
    await open();
    await cluster.until("it knows its leader", () => member().leader !== null);
    return member().replica.core.reads.nextBatch;
  };
  await live();
  await cluster.stop("baz");
  const formerBatch = await live();
  await cluster.stop("baz");
  const { term, commitIndex } = await cluster.run(foo!.status());
  await live();
  const leader = member().leader!;
  assert.equal(await cluster.run(foo!.command("inc", 1)), 1);
  cluster.network.cut("baz", "foo");
  cluster.network.cut("baz", "bar");
  let confirmed = false;
  member().barrier(
    answerTo((error) => (confirmed = error === null)),
    0,
  );
  await cluster.pass(5);
  assert.equal(member().replica.core.reads.asked.length, 1);
  const late = {
    type: "readIndexReply",
    term,
    batch: formerBatch,
    readIndex: commitIndex,
  } as const;
  member().receive(leader, late, 50);
  await cluster.pass(5);
  assert.equal(confirmed, false);
  cluster.network.healAll();
  await cluster.close();
});
