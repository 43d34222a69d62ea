/** Hosts whose groups hear of no leader, and what comes of asking at the addresses of `start.join`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { protocolVersion } from "../../src/codec/types.js";
import { createCborCodec } from "../../src/codec/values.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter } from "./cluster.js";

type Deserted = {
  readonly cluster: Cluster;
  /** By bar. */
  readonly dialled: string[];
  readonly status: {
    readonly groupId: string;
    readonly members: readonly { readonly id: string }[];
  };
};

/** bar has kept these groups, and waits in vain for foo, with which it had them; moved, it has still to open them. */
async function desert(
  names: readonly string[],
  join: (at: number) => string,
  movedTo: string | null = null,
): Promise<Deserted> {
  const cluster = new Cluster(15);
  const storage = createMemoryStorage({ durable: true });
  const open = (id: string, name: string, start: "create" | { readonly join: string[] }) =>
    cluster.run(cluster.host(id).group(name, counter, { start }));
  await cluster.start("foo");
  await cluster.start("bar", { storage });
  await Promise.all(names.map((name) => open("foo", name, "create")));
  await Promise.all(names.map((name) => open("bar", name, { join: ["foo:1"] })));
  const { groupId, membership } = cluster.host("bar").memberOf(names[0]!)!;
  await cluster.run(Promise.all(["bar", "foo"].map((id) => cluster.host(id).close())));
  cluster.hosts.clear();
  const dialled: string[] = [];
  const transport = cluster.network.transport("bar");
  const dial = transport.dial.bind(transport);
  transport.dial = (address, handlers) => {
    dialled.push(address);
    return dial(address, handlers);
  };
  await cluster.start("bar", { storage, transport, listen: movedTo ?? "bar:1" });
  if (movedTo === null)
    for (const [at, name] of names.entries()) await open("bar", name, { join: [join(at)] });
  return { cluster, dialled, status: { groupId: groupId!, members: membership.members } };
}

test("every group has its turn to ask, however many ask in vain", async () => {
  const names = Array.from({ length: 140 }, (_, at) => `counter-${at}`);
  const { cluster, dialled } = await desert(names, (at) => `nobody:${at}`);
  const all = (): boolean => names.every((_, at) => dialled.includes(`nobody:${at}`));
  await cluster.until("each has asked", all, 120_000);
  await cluster.close();
});

test("groups that open at once on a host that has moved do not dial all at once", async () => {
  const names = Array.from({ length: 100 }, (_, at) => `counter-${at}`);
  const { cluster } = await desert(names, () => "", "bar:2");
  let open = 0;
  let most = 0;
  await cluster.network.transport("silent").listen("silent:1", () => {
    most = Math.max(most, ++open);
    const ignore = (): void => undefined;
    return { onOpen: ignore, onPayload: ignore, onDrain: ignore, onClose: () => void (open -= 1) };
  });
  const opening = names.map((name) => {
    return cluster.host("bar").group(name, counter, { start: { join: ["silent:1"] } });
  });
  await cluster.run(Promise.all(opening));
  // Sixteen groups, of which each asks about the others and for its leader.
  assert.ok(most > 0 && most <= 2 * 16, `${most} connections`);
  await cluster.close();
});

test("nobody asks any more once the host is closed", async () => {
  const { cluster, dialled } = await desert(["counter"], () => "nobody:1");
  await cluster.until("it asks", () => dialled.includes("nobody:1"));
  await cluster.close();
  const before = dialled.length;
  await cluster.pass(5000);
  assert.equal(dialled.length, before);
});

/** A member of these groups that answers the question for its status, as nobody of ours would. */
async function answer(cluster: Cluster, at: string, status: () => object): Promise<void> {
  await cluster.network.transport("strange").listen(at, (connection) => ({
    onOpen: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
    onPayload(payload): void {
      const frame = decodeFrame(payload);
      const channel = 1;
      const said = status() as { readonly groupId: string; readonly id: string };
      if (frame.type === "hello") {
        const welcome = { type: "welcome", protocol: protocolVersion, hostId: "foo" } as const;
        connection.send(encodeFrame(welcome));
      } else if (frame.type === "openClient") {
        const { groupId, id } = said;
        connection.send(encodeFrame({ type: "channelOpened", channel, groupId, memberId: id }));
        const hint = { term: 9, leader: id, address: at, hosts: [] } as const;
        connection.send(encodeFrame({ type: "leaderHint", channel, ...hint }));
      } else if (frame.type === "requests") {
        const body = createCborCodec().encode(said);
        const { request } = frame.requests[0]!;
        const reply = { request, status: "ok", applied: "no", index: 0, body } as const;
        connection.send(encodeFrame({ type: "replies", channel, replies: [reply] }));
      }
    },
  }));
}

test("an address that is none is not taken from whoever answers", async () => {
  const { cluster, status } = await desert(["counter"], () => "strange:1");
  const answers: unknown[] = [5, "", "x".repeat(100_000), "foo\n:2", { host: "foo" }, null];
  let answered = 0;
  await answer(cluster, "strange:1", () => {
    const address = answers[answered++ % answers.length];
    const members = status.members.map(({ id }) => ({ id, address }));
    return { ...status, id: status.members[0]!.id, role: "follower", lastLogIndex: 100, members };
  });
  const member = cluster.host("bar").memberOf("counter")!;
  await cluster.until("it has asked for each", () => {
    const known = member.membership.members.map(({ id }) => member.addressOf(id));
    assert.deepEqual(known, ["foo:1", "bar:1"]);
    return answered > answers.length;
  });
  await cluster.close();
});

test("a voter that has moved is not ended by a leader that has not heard of it", async () => {
  const { cluster, status } = await desert(["counter"], () => "strange:1", "bar:2");
  const [foo] = status.members;
  let asked = 0;
  await answer(cluster, "foo:1", () => {
    asked += 1;
    return { ...status, id: foo!.id, role: "leader", lastLogIndex: 1, members: [foo] };
  });
  await cluster.run(cluster.host("bar").group("counter", counter, { start: "create" }));
  assert.ok(asked > 0);
  assert.notEqual(cluster.host("bar").memberOf("counter"), null);
  await cluster.close();
});
