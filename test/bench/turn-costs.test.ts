/**
 * What a turn of commands costs, counted and not timed: frames, writes to the disk and syncs do not grow with
 * the number of commands. That the frames of a turn leave a socket in one write is the transport's
 * promise (test/transport/tcp.test.ts), and batch, write and sync of the log the storage's
 * (test/storage/failures.test.ts).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ClientRequest, Frame } from "../../src/codec/types.js";
import { createCborCodec } from "../../src/codec/values.js";
import { fileStorage } from "../../src/storage/file/index.js";
import { encodeCommandBody } from "../../src/value/body.js";
import { Cluster, counter } from "../host/cluster.js";
import { RawClient } from "../host/raw-client.js";
import { recorded } from "../host/recorded.js";
import { FakeDisk, isLog } from "../storage/fake-disk.js";

const ids = ["foo", "bar", "baz"] as const;
const commands = 200;
const body = encodeCommandBody(counter, createCborCodec(), "inc", true, 1, null);

/** How many entries each appendEntries carries that carries any. */
function entriesIn(frames: readonly Frame[]): number[] {
  return frames.flatMap((frame) => {
    if (frame.type !== "peerMessage" || frame.message.type !== "appendEntries") return [];
    return frame.message.entries.length === 0 ? [] : [frame.message.entries.length];
  });
}

function logOperations(disk: FakeDisk, type: "write" | "sync", from: number): number {
  return disk.operations
    .slice(from)
    .filter((operation) => operation.type === type && isLog(operation)).length;
}

type Costs = {
  readonly frames: ReadonlyMap<string, readonly Frame[]>;
  readonly disks: ReadonlyMap<string, FakeDisk>;
  readonly from: ReadonlyMap<string, number>;
};

/** One client sends so many commands in one frame; counted is from there until all are answered. */
async function turnOfCommands(count: number): Promise<Costs> {
  const cluster = new Cluster();
  const frames = new Map<string, Frame[]>();
  const disks = new Map<string, FakeDisk>();
  for (const id of ids) {
    frames.set(id, []);
    disks.set(id, new FakeDisk());
    await cluster.start(id, {
      storage: fileStorage("/data", { fs: disks.get(id)!, segmentBytes: 1 << 20 }),
      transport: recorded(cluster.network.transport(id), frames.get(id)!),
    });
  }
  await cluster.group("counter", counter, ids);
  assert.deepEqual(cluster.leaders("counter"), ["foo"]);
  const transport = cluster.network.transport("raw");
  const client = new RawClient((handlers) => transport.dial("foo:1", handlers), "counter");
  client.ask({ type: "register", request: 1, nonce: 1 });
  await cluster.until("the session is there", () => client.replyTo(1) !== null);
  const session = client.replyTo(1)!.index;
  // Followers hear of its commit with a heartbeat; what they still have to store is stored.
  await cluster.pass(1000);
  const from = new Map([...disks].map(([id, disk]) => [id, disk.operations.length]));
  for (const sent of frames.values()) sent.length = 0;
  client.ask(...Array.from({ length: count }, (_, at) => command(at, session)));
  await cluster.until("all are answered", () => client.replies().length === 1 + count);
  await cluster.until("all have stored it", () =>
    ids.every((id) => logOperations(disks.get(id)!, "sync", from.get(id)!) > 0),
  );
  // Were there more to store, it would be stored by then.
  await cluster.pass(1000);
  const costs = { frames: new Map([...frames].map(([id, sent]) => [id, [...sent]])), disks, from };
  await cluster.close();
  return costs;
}

function command(at: number, session: number): ClientRequest {
  const sequence = 1 + at;
  return { type: "command", request: 2 + at, session, sequence, lowestOutstanding: 1, body };
}

describe(`${commands} commands of one turn`, () => {
  test("leave the leader in one frame to each follower and one frame of replies", async () => {
    const { frames } = await turnOfCommands(commands);
    const sent = frames.get("foo")!;
    assert.deepEqual(entriesIn(sent), [commands, commands]);
    const replies = sent.filter((frame) => frame.type === "replies");
    assert.deepEqual(
      replies.map((frame) => frame.replies.length),
      [commands],
    );
  });

  test("cost each member one write and one sync of its log, as one command does", async () => {
    for (const count of [1, commands]) {
      const { disks, from } = await turnOfCommands(count);
      for (const id of ids) {
        const since = from.get(id)!;
        assert.equal(logOperations(disks.get(id)!, "write", since), 1, `${count}: ${id} writes`);
        assert.equal(logOperations(disks.get(id)!, "sync", since), 1, `${count}: ${id} syncs`);
      }
    }
  });
});
