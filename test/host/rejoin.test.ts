/** A host whose copy of a group is damaged, and that was told to rejoin (`onDamage`). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RaftError } from "../../src/errors.js";
import type { GroupHandle } from "../../src/host/handle.js";
import type { GroupOptions } from "../../src/host/options.js";
import type { RecoveredGroup } from "../../src/ports.js";
import { createMemoryStorage, type MemoryStorage } from "../../src/storage/memory.js";
import { Cluster, type Counter, counter, createLogBook, queue } from "./cluster.js";

const ids = ["foo", "bar", "baz"] as const;
const where = "wal-00000001.log at offset 4711, block 15: a record does not match its checksum";
const others = { start: { join: ["foo:1", "bar:1"] } } as const;
const policy: GroupOptions = { ...others, onDamage: "rejoin" };

class Trio {
  readonly cluster = new Cluster(5);
  readonly storages = new Map<string, MemoryStorage>();
  handles: GroupHandle<Counter>[] = [];

  static async start(): Promise<Trio> {
    const trio = new Trio();
    for (const id of ids) {
      trio.storages.set(id, createMemoryStorage({ durable: true }));
      await trio.cluster.start(id, { storage: trio.storages.get(id)! });
    }
    trio.handles = await trio.cluster.group("counter", counter, ids);
    await trio.cluster.until("all vote", () => trio.voters.length === 3);
    await trio.cluster.run(trio.handles[0]!.command("inc", 7));
    return trio;
  }

  get voters(): readonly string[] {
    return this.cluster.host("foo").memberOf("counter")!.membership.voters;
  }

  storage(id: string): MemoryStorage {
    return this.storages.get(id)!;
  }

  /** The host ends, its copy is damaged, and a new one opens the same storage. */
  async damage(id: string): Promise<void> {
    await this.stop(id);
    this.storage(id).damage("counter", where);
  }

  stop(id: string): Promise<void> {
    return this.cluster.stop(id);
  }

  open(id: string, options: GroupOptions = policy): Promise<GroupHandle<Counter>> {
    return this.cluster.run(this.cluster.host(id).group("counter", counter, options));
  }

  /** What the storage of a host that does not run holds of the group. */
  async stored(id: string): Promise<RecoveredGroup | undefined> {
    const nothing = (): void => undefined;
    const storage = this.storage(id);
    const found = await storage.open(id, {
      onStored: nothing,
      onSnapshotChunkWritten: nothing,
      onSnapshotSaved: nothing,
      onSnapshotChunkRead: nothing,
      onFailed: nothing,
      onWarning: nothing,
    });
    await storage.close();
    return found.find(({ identity }) => identity.group === "counter");
  }

  close(): Promise<void> {
    return this.cluster.close();
  }
}

describe("a host that is to rejoin when its copy is damaged", () => {
  test("says where and that it rejoins, and comes back as a new member in its own place", async () => {
    const trio = await Trio.start();
    const former = trio.handles[2]!.id;
    await trio.damage("baz");
    await trio.cluster.run(trio.handles[0]!.command("inc", 1));
    const book = createLogBook();
    await trio.cluster.start("baz", { storage: trio.storage("baz"), logger: book.logger });
    const baz = await trio.open("baz");
    assert.notEqual(baz.id, former);
    assert.deepEqual(
      book.lines.flatMap(({ message }) => (message.includes("damaged") ? [message] : [])),
      [
        `host baz: group "counter" is damaged in this storage: ${where}; it is kept in no place: this ` +
          "storage is memory, and this host rejoins as a new member through foo:1, bar:1",
      ],
    );
    await trio.cluster.until("it has taken its own place", () => {
      return trio.voters.length === 3 && trio.voters.includes(baz.id);
    });
    assert.ok(!trio.voters.includes(former));
    assert.equal(await trio.cluster.run(baz.query("get")), 8);
    // From now on it is a member like any other.
    await trio.stop("baz");
    await trio.cluster.start("baz", { storage: trio.storage("baz") });
    assert.equal((await trio.open("baz")).id, baz.id);
    await trio.close();
  });

  test("goes on as itself with a copy that is good", async () => {
    const trio = await Trio.start();
    await trio.stop("baz");
    trio.storage("baz").damage("another group", where);
    await trio.cluster.start("baz", { storage: trio.storage("baz") });
    assert.equal((await trio.open("baz")).id, trio.handles[2]!.id);
    await trio.close();
  });

  test("that ends before the group has taken it in begins there again", async () => {
    const trio = await Trio.start();
    await trio.damage("baz");
    await trio.cluster.start("baz", { storage: trio.storage("baz") });
    // Nobody hears it: the damaged copy is set aside, and that is all that happens.
    for (const id of ["foo", "bar"]) trio.cluster.network.cut("baz", id);
    await assert.rejects(trio.open("baz"), { code: "connectFailed" });
    await trio.stop("baz");
    assert.equal(await trio.stored("baz"), undefined);
    trio.cluster.network.healAll();
    await trio.cluster.start("baz", { storage: trio.storage("baz") });
    const baz = await trio.open("baz");
    await trio.cluster.until("it has taken its own place", () => {
      return trio.voters.length === 3 && trio.voters.includes(baz.id);
    });
    await trio.close();
  });

  test("is refused where it would not come back as a member of this group's value", async () => {
    const trio = await Trio.start();
    await trio.damage("baz");
    const host = await trio.cluster.start("baz", { storage: trio.storage("baz") });
    await assert.rejects(trio.cluster.run(host.group("counter", queue, policy)), {
      code: "storageMismatch",
    });
    const nowhere: readonly GroupOptions[] = [
      { start: "create", onDamage: "rejoin" },
      { start: { join: [] }, onDamage: "rejoin" },
    ];
    for (const options of nowhere) {
      await assert.rejects(trio.open("baz", options), {
        code: "invalidArgument",
        message: /^onDamage: "rejoin" needs an address/,
      });
    }
    await trio.stop("baz");
    assert.equal((await trio.stored("baz"))!.damage, where, "and the copy is where it was");
    await trio.close();
  });

  test("is refused by a storage that cannot set a copy aside, or that fails to", async () => {
    const trio = await Trio.start();
    await trio.damage("baz");
    const storage = trio.storage("baz");
    const { setAside } = storage;
    await trio.cluster.start("baz", { storage });
    storage.setAside = undefined!;
    await assert.rejects(trio.open("baz"), {
      code: "storageCorrupt",
      message: `group "counter" is damaged in this storage: ${where}; this storage cannot set it aside`,
    });
    storage.setAside = () => Promise.reject(new RaftError("diskFull", "no space left"));
    await assert.rejects(trio.open("baz"), {
      code: "diskFull",
      message: `group "counter" is damaged in this storage: ${where}; it could not be set aside: no space left`,
    });
    storage.setAside = setAside!;
    assert.notEqual((await trio.open("baz")).id, trio.handles[2]!.id);
    await trio.close();
  });

  test("counts for nobody while so many are damaged that nobody leads, and no group begins", async () => {
    const trio = await Trio.start();
    const { cluster } = trio;
    const groupId = cluster.host("foo").memberOf("counter")!.groupId;
    for (const id of ["bar", "baz"]) await trio.damage(id);
    for (const id of ["bar", "baz"]) await cluster.start(id, { storage: trio.storage(id) });
    const through = (id: string): GroupOptions => ({
      start: { join: ids.filter((other) => other !== id).map((other) => `${other}:1`) },
      onDamage: "rejoin",
      timeoutMs: 3000,
    });
    const tries = ["bar", "baz"].map((id) => trio.open(id, through(id)));
    const outcomes = await Promise.allSettled(tries);
    assert.deepEqual(cluster.leaders("counter"), []);
    const { groupId: kept, membership } = cluster.host("foo").memberOf("counter")!;
    assert.equal(kept, groupId);
    assert.deepEqual(
      membership.voters,
      trio.handles.map(({ id }) => id),
    );
    for (const [at, id] of ["bar", "baz"].entries()) {
      const outcome = outcomes[at]!;
      if (outcome.status === "fulfilled") {
        // The leader took it in before it knew that it was alone: a learner by an entry that is not committed.
        const { id: learner } = outcome.value;
        assert.deepEqual(
          membership.learners.map((one) => one.id),
          [learner],
        );
        continue;
      }
      const { code } = outcome.reason as RaftError;
      assert.ok(["timeout", "unavailable"].includes(code), String(outcome.reason));
      assert.equal(cluster.host(id).memberOf("counter"), null);
      await trio.stop(id);
      assert.equal(await trio.stored(id), undefined);
    }
    await trio.close();
  });
});
