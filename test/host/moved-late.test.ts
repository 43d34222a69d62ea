/** Durable members that moved, and what others still believe of where they were before. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { createGroupClient } from "../../src/client/client.js";
import { createCborCodec } from "../../src/codec/values.js";
import { type Frame, protocolVersion } from "../../src/codec/types.js";
import { encodeFrame } from "../../src/codec/wire.js";
import { lastIndex } from "../../src/core/log.js";
import type { GroupHandle } from "../../src/host/handle.js";
import { silentLogger } from "../../src/host/options.js";
import type { Connection } from "../../src/ports.js";
import type { Member } from "../../src/member/member.js";
import { createMemoryStorage, type MemoryStorage } from "../../src/storage/memory.js";
import { Cluster, type Counter, counter } from "./cluster.js";

const ids = ["foo", "bar", "baz"];
let cluster: Cluster;
let storages: Map<string, MemoryStorage>;
let handles: Map<string, GroupHandle<Counter>>;

async function start(id: string, port: number, join: readonly string[] | null): Promise<void> {
  await cluster.start(id, { storage: storages.get(id)!, listen: `${id}:${port}` });
  const opening = cluster.host(id).group("counter", counter, {
    start: join === null ? "create" : { join },
  });
  handles.set(id, await cluster.run(opening));
}

const member = (id: string): Member => cluster.host(id).memberOf("counter")!;

/** What a member has in its log. */
function addressesIn(id: string): string {
  const { members } = member(id).membership;
  return members
    .map(({ address }) => address)
    .sort()
    .join();
}

async function lead(id: string): Promise<void> {
  await cluster.until("a leader", () => cluster.leaders("counter").length === 1);
  if (cluster.leaders("counter")[0] !== id) {
    await cluster.run(handles.get("baz")!.transferLeadership(id));
  }
  await cluster.until(`${id} leads`, () => member("baz").leader === member(id).id);
}

/** The member follows, and its leader hears it. */
async function goOn(id: string): Promise<void> {
  await cluster.until("a leader", () => cluster.leaders("counter").length === 1);
  const [leader] = cluster.leaders("counter");
  await cluster.run(handles.get(leader!)!.command("inc", 1));
  await cluster.until(`${id} has acknowledged all`, () => {
    const { role, log } = member(leader!).replica.core;
    assert.ok(role.type === "leader");
    const peer = role.peers.find((each) => each.id === member(id).id);
    return peer?.matchIndex === lastIndex(log);
  });
}

/** A frame of a connection that is older than all that its host says by now. */
function sayAsPeer(from: string, to: string, address: string): Connection {
  const connection = cluster.network.transport("former").dial(`${to}:1`, {
    onOpen: () => undefined,
    onPayload: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
  });
  const say = (frame: Frame): void => connection.send(encodeFrame(frame));
  say({ type: "hello", protocol: protocolVersion, kind: "peer", from });
  say({
    ...{ type: "openPeer", channel: 1, group: "counter", fromAddress: address },
    ...{ groupId: member(to).groupId!, from: member(from).id, to: member(to).id },
    ...{ valueName: "counter", valueVersion: 1, compatibleVersions: [] },
  });
  return connection;
}

describe("a member that has moved", () => {
  beforeEach(async () => {
    cluster = new Cluster(17);
    storages = new Map(ids.map((id) => [id, createMemoryStorage({ durable: true })]));
    handles = new Map();
    for (const id of ids) await start(id, 1, id === "foo" ? null : ["foo:1"]);
    await lead("foo");
  });

  test("is heard again although what it asked in its former life comes last", async () => {
    await cluster.stop("bar");
    await start("bar", 2, ["foo:1"]);
    const { clock, random } = cluster;
    const client = createGroupClient({
      ...{ definition: null, group: "counter", hosts: ["foo:1"], clock, random },
      ...{ codec: createCborCodec(), logger: silentLogger },
      dial: (address, handlers) => cluster.network.transport("former").dial(address, handlers),
    });
    const body = { memberId: member("bar").id, address: "bar:1" };
    await cluster.run(client.admin("move", body, { timeoutMs: 1000 }));
    await cluster.run(client.close());
    await goOn("bar");
    await cluster.until("the log has it", () => addressesIn("foo") === "bar:2,baz:1,foo:1");
    await cluster.close();
  });

  test("is heard again although a greeting of its former life comes last", async () => {
    await cluster.stop("bar");
    await start("bar", 2, ["foo:1"]);
    sayAsPeer("bar", "foo", "bar:1");
    await cluster.pass(50);
    await goOn("bar");
    await cluster.close();
  });

  test("finds one that moved meanwhile through others that its log has, told of none to join", async () => {
    await cluster.stop("foo");
    await cluster.stop("bar");
    await start("bar", 2, ["baz:1"]);
    await lead("bar");
    // The leader, which would take its address, is paused for so long: baz alone can say where it is.
    cluster.network.cut("foo", "bar");
    await start("foo", 2, null);
    cluster.network.heal("foo", "bar");
    await goOn("foo");
    await cluster.close();
  });

  test("finds one that greeted from elsewhere before, when others have heard of it since", async () => {
    await lead("bar");
    await lead("foo");
    cluster.network.cut("bar", "baz");
    await cluster.stop("bar");
    await start("bar", 2, ["baz:1"]);
    cluster.network.heal("bar", "baz");
    const former = sayAsPeer("bar", "baz", "bar:9");
    await cluster.pass(50);
    former.close();
    assert.equal(member("baz").addressOf(member("bar").id), "bar:9", "not greeted by bar since");
    for (const other of ["foo", "baz"]) cluster.network.cut("bar", other);
    cluster.kill("foo");
    await storages.get("foo")!.close();
    cluster.network.heal("foo", "baz");
    await start("foo", 2, ["baz:1"]);
    await lead("foo");
    cluster.network.healAll();
    await goOn("bar");
    await cluster.close();
  });

  test("tells a leader that joined meanwhile, and of which its log knows nothing", async () => {
    await cluster.stop("bar");
    storages.set("qux", createMemoryStorage({ durable: true }));
    await start("qux", 1, ["foo:1"]);
    await cluster.until("it is a voter", () => {
      return member("foo").membership.voters.includes(member("qux").id);
    });
    await lead("qux");
    await start("bar", 2, ["foo:1"]);
    await goOn("bar");
    await cluster.close();
  });

  test("is dialled where the log has it, by one that asked it where it is before that", async () => {
    await cluster.stop("bar");
    await start("bar", 2, ["foo:1", "baz:1"]);
    await cluster.stop("baz");
    await start("baz", 2, ["foo:1", "bar:2"]);
    await cluster.until("bar has that in its log", () => addressesIn("bar").includes("baz:2"));
    await cluster.pass(1000);
    assert.equal(member("bar").addressOf(member("baz").id), "baz:2");
    await cluster.close();
  });

  test("is dialled where the log has it, by one that it greeted from where it was before", async () => {
    await cluster.stop("foo");
    await start("foo", 2, ["bar:1", "baz:1"]);
    await cluster.until("all have that in their logs", () => {
      return ["bar", "baz"].every((id) => addressesIn(id).includes("foo:2"));
    });
    await cluster.pass(1000);
    for (const id of ["bar", "baz"]) assert.equal(member(id).addressOf(member("foo").id), "foo:2");
    await cluster.close();
  });

  test("tells its own group, whoever serves one of that name where another member was", async () => {
    await cluster.stop("foo");
    await start("foo", 2, null);
    await cluster.start("stranger", { listen: "foo:1" });
    const stranger = cluster.host("stranger").group("counter", counter, { start: "create" });
    await cluster.run(stranger);
    await cluster.stop("bar");
    await start("bar", 2, ["foo:1"]);
    assert.equal(addressesIn("bar"), "bar:2,baz:1,foo:2");
    await cluster.close();
  });

  test("is refused as closed when its host closes before the leader has taken the address", async () => {
    await cluster.stop("bar");
    const held = ["bar", "baz"].map((id) => storages.get(id)!);
    await cluster.start("bar", { storage: held[0]!, listen: "bar:2" });
    // Without the two nothing is committed.
    for (const storage of held) storage.holdAnswers();
    const opening = cluster
      .host("bar")
      .group("counter", counter, { start: { join: ["foo:1"] }, timeoutMs: 60_000 });
    opening.catch(() => undefined);
    await cluster.until("it hears a leader", () => member("bar").leader !== null);
    await cluster.pass(50);
    const closing = cluster.host("bar").close();
    for (const storage of held) storage.releaseAnswers();
    await assert.rejects(cluster.run(opening), { code: "closed" });
    await cluster.run(closing);
    cluster.hosts.delete("bar");
    await cluster.close();
  });
});
