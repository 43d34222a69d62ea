/** What memory storage has beyond the contract: answers at once, held answers, pinned snapshots. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AssertionError } from "../../src/errors.js";
import { GroupLives } from "../../src/storage/group-lives.js";
import { createMemoryStorage, type MemoryStorage } from "../../src/storage/memory.js";
import {
  entries,
  hardState,
  identityOf,
  metaOf,
  OpenStorage,
} from "../../src/contract/storage-harness.js";
import { patterned } from "../../src/contract/peer.js";
import { exposedGc } from "../../src/transport/collections.js";

async function open(): Promise<{ storage: MemoryStorage; opened: OpenStorage }> {
  const storage = createMemoryStorage();
  const opened = await OpenStorage.open({ storage: () => storage });
  storage.createGroup(identityOf("queue"));
  return { storage, opened };
}

function save(opened: OpenStorage, index: number, data: Uint8Array): void {
  const sink = opened.storage.beginSnapshot("queue");
  sink.write(data);
  sink.commit(metaOf(index, 1, data));
}

describe("memory storage", () => {
  test("says that it is not durable, unless a test wants it to pretend", () => {
    assert.equal(createMemoryStorage().durable, false);
    assert.equal(createMemoryStorage({ durable: true }).durable, true);
  });

  test("answers within flush, and everything else within its own call", async () => {
    const { storage, opened } = await open();
    opened.append("queue", { entries: entries(1, 5, 1) });
    assert.deepEqual(opened.answers, []);
    storage.flush();
    const data = patterned(10);
    save(opened, 3, data);
    storage.readSnapshotChunk("queue", "bar#1", 3, 0, 4);
    storage.writeSnapshotChunk("queue", metaOf(9, 1, data), 0, data);
    storage.installSnapshot("queue", metaOf(9, 1, data));
    assert.deepEqual(opened.answers, [
      { type: "stored", group: "queue", ticket: 1 },
      { type: "saved", group: "queue", index: 3, ok: true },
      {
        type: "chunkRead",
        group: "queue",
        to: "bar#1",
        index: 3,
        offset: 0,
        data: data.slice(0, 4),
      },
      { type: "chunkWritten", group: "queue", index: 9, term: 1, sizeBytes: 10 },
      { type: "saved", group: "queue", index: 9, ok: true },
    ]);
  });

  test("what is asked for behind an append waits for its flush, so that order holds", async () => {
    const { storage, opened } = await open();
    opened.append("queue", { entries: entries(1, 5, 1) });
    save(opened, 5, patterned(10));
    storage.compactLog("queue", 6);
    assert.deepEqual(opened.answers, []);
    storage.flush();
    assert.deepEqual(
      opened.answers.map(({ type }) => type),
      ["stored", "saved"],
    );
    const again = await opened.reopen({ storage: () => storage });
    assert.deepEqual(again.group("queue").entries, []);
  });

  test("an answer may bring about the next call", async () => {
    const { storage, opened } = await open();
    const onStored = opened.onStored.bind(opened);
    opened.onStored = (group, ticket) => {
      onStored(group, ticket);
      if (ticket < 5) opened.store("queue", { entries: entries(ticket + 1, ticket + 1, 1) });
    };
    opened.store("queue", { entries: entries(1, 1, 1) });
    assert.equal(opened.answers.length, 5);
    const again = await opened.reopen({ storage: () => storage });
    assert.equal(again.group("queue").entries.length, 5);
  });

  test("held answers wait in order, leave one by one or all, and then no more are held", async () => {
    const { storage, opened } = await open();
    storage.holdAnswers();
    for (let i = 1; i <= 4; i++) opened.store("queue", { entries: entries(i, i, 1) });
    save(opened, 2, patterned(5));
    assert.equal(storage.heldAnswers, 5);
    assert.deepEqual(opened.answers, []);
    storage.releaseAnswers(2);
    assert.deepEqual(
      opened.of("stored").map(({ ticket }) => ticket),
      [1, 2],
    );
    storage.releaseAnswers();
    assert.deepEqual(
      opened.answers.map(({ type }) => type),
      ["stored", "stored", "stored", "stored", "saved"],
    );
    opened.store("queue", { entries: entries(5, 5, 1) });
    assert.equal(opened.of("stored").length, 5);
    assert.equal(storage.heldAnswers, 0);
  });

  test("what an answer that was held brings about is answered behind those that were held before", async () => {
    const { storage, opened } = await open();
    const onStored = opened.onStored.bind(opened);
    opened.onStored = (group, ticket) => {
      onStored(group, ticket);
      if (ticket === 1) opened.store("queue", { entries: entries(3, 3, 1) });
    };
    storage.holdAnswers();
    opened.store("queue", { entries: entries(1, 1, 1) });
    storage.holdAnswers();
    opened.store("queue", { entries: entries(2, 2, 1) });
    storage.releaseAnswers();
    assert.deepEqual(
      opened.of("stored").map(({ ticket }) => ticket),
      [1, 2, 3],
    );
  });

  test("what was written while answers were held is there after a restart, the answers are not", async () => {
    const { storage, opened } = await open();
    storage.holdAnswers();
    opened.store("queue", { entries: entries(1, 4, 1) });
    const again = await opened.reopen({ storage: () => storage });
    assert.equal(again.group("queue").entries.length, 4);
    storage.releaseAnswers();
    assert.deepEqual(opened.answers, []);
    assert.deepEqual(again.answers, []);
  });

  test("what was asked for a group that is gone is not answered, whether or not its name is used again", async () => {
    const { storage, opened } = await open();
    storage.holdAnswers();
    opened.store("queue", { entries: entries(1, 4, 1) });
    storage.deleteGroup("queue");
    storage.releaseAnswers();
    assert.deepEqual(opened.answers, []);
  });

  test("nor is what was asked before, and not written or not answered when the name passes on", async () => {
    const { storage, opened } = await open();
    opened.append("queue", { entries: entries(1, 4, 1) });
    storage.deleteGroup("queue");
    storage.flush();
    assert.deepEqual(opened.answers, []);
    storage.createGroup(identityOf("queue", "2"));
    storage.damage("queue", "where");
    storage.holdAnswers();
    opened.store("queue", { entries: entries(1, 2, 1) });
    await storage.setAside!("queue");
    storage.releaseAnswers();
    assert.deepEqual(opened.answers, []);
    storage.createGroup(identityOf("queue", "3"));
    const ticket = opened.store("queue", { entries: entries(1, 1, 1) });
    assert.deepEqual(opened.answers, [{ type: "stored", group: "queue", ticket }]);
  });

  test("nor what was asked for one that came back from before and is gone then", () => {
    const lives = new GroupLives();
    const isAwaited = lives.watch("queue");
    assert.equal(isAwaited(), true);
    lives.end("queue");
    assert.equal(isAwaited(), false);
  });

  test("of groups that are gone nothing is kept, not even their names", async () => {
    const { storage } = await open();
    const collect = exposedGc();
    const come = (names: number): void => {
      for (let i = 0; i < names; i++) {
        // Encoded and decoded: a text of its own, and no view of parts that are shared.
        const group = Buffer.from(`${i} `.padEnd(10_000, "x")).toString();
        storage.createGroup(identityOf(group));
        storage.deleteGroup(group);
      }
    };
    come(10);
    collect();
    const beforeBytes = process.memoryUsage().heapUsed;
    come(1000);
    collect();
    const keptBytes = process.memoryUsage().heapUsed - beforeBytes;
    assert.ok(keptBytes < 2_000_000, `${keptBytes} bytes are kept of names of 10,000,000`);
  });

  test("setting a group aside does not wait until somebody flushes another one's append", async () => {
    const { storage, opened } = await open();
    storage.createGroup(identityOf("other"));
    storage.damage("queue", "where");
    opened.append("other", { entries: entries(1, 1, 1) });
    assert.match(await storage.setAside!("queue"), /memory/);
    assert.equal(opened.of("stored").length, 1);
    const again = await opened.reopen({ storage: () => storage });
    assert.deepEqual(
      again.recovered.map(({ identity }) => identity.group),
      ["other"],
    );
  });

  test("one that keeps no entries does not let what it has pass for a group that came back", async () => {
    const storage = createMemoryStorage({ keepsLog: false });
    const opened = await OpenStorage.open({ storage: () => storage });
    storage.createGroup(identityOf("queue"));
    opened.store("queue", { hardState: hardState(3), entries: entries(1, 4, 3) });
    const again = await opened.reopen({ storage: () => storage });
    assert.deepEqual(again.recovered, []);
    storage.createGroup(identityOf("queue", "2"));
  });

  test("a snapshot that somebody is half through outlives its successors (hazard 57)", async () => {
    const { opened } = await open();
    opened.store("queue", { entries: entries(1, 50, 1) });
    const first = patterned(3000, 1);
    save(opened, 10, first);
    assert.deepEqual(await opened.read(10, 0, 1000), first.slice(0, 1000));
    save(opened, 20, patterned(3000, 2));
    assert.deepEqual(await opened.read(10, 1000, 1000), first.slice(1000, 2000));
    save(opened, 30, patterned(3000, 3));
    assert.deepEqual(await opened.read(10, 2000, 1000), first.slice(2000));
    save(opened, 40, patterned(3000, 4));
    assert.equal(await opened.read(10, 2000, 1000), null, "read to its end, then let go");
    assert.equal(await opened.read(20, 0, 1000), null, "never asked for");
  });

  test("an abandoned snapshot is let go", async () => {
    const { opened } = await open();
    opened.store("queue", { entries: entries(1, 50, 1) });
    save(opened, 10, patterned(3000, 1));
    await opened.read(10, 0, 1000);
    save(opened, 20, patterned(3000, 2));
    save(opened, 30, patterned(3000, 3));
    assert.equal(await opened.read(10, 1000, 1000), null);
  });

  test("the bytes of a snapshot are its own", async () => {
    const { opened } = await open();
    const data = patterned(100);
    save(opened, 0, data);
    const before = data.slice();
    data.fill(0);
    assert.deepEqual(await opened.loaded("queue"), Buffer.from(before));
  });

  test("a breach of the contract stops whoever made it", async () => {
    const { storage, opened } = await open();
    opened.store("queue", { entries: entries(1, 3, 1) });
    const breaches: readonly (() => void)[] = [
      () => opened.store("queue", { entries: entries(5, 5, 1) }),
      () => opened.store("queue", { entries: entries(3, 3, 1) }),
      () => opened.store("nobody", { entries: entries(1, 1, 1) }),
      () => storage.createGroup(identityOf("queue")),
      () => storage.compactLog("queue", 2),
    ];
    for (const breach of breaches) assert.throws(breach, AssertionError);
    for (const how of ["commit", "abort"] as const) {
      const sink = storage.beginSnapshot("queue");
      sink[how](metaOf(1, 1, new Uint8Array(0)));
      const more = [
        () => sink.write(patterned(1)),
        () => sink.commit(metaOf(1, 1, new Uint8Array(0))),
      ];
      for (const breach of more) assert.throws(breach, AssertionError);
    }
    await assert.rejects(storage.loadSnapshot("nobody"), { code: "storageFailed" });
    storage.damage("queue", "where");
    await storage.close();
    await assert.rejects(storage.setAside!("queue"), { code: "closed" });
  });
});

test("options that memory storage does not have, or of another type, are refused by name", () => {
  const refused = (options: unknown, message: RegExp): void =>
    assert.throws(() => createMemoryStorage(options as never), {
      code: "invalidArgument",
      message,
    });
  refused(null, /^memoryStorage: options: expected an object .*, got null$/);
  refused({ durabel: true }, /^memoryStorage: durabel is no option; there are durable, keepsLog$/);
  refused({ keepsLog: 0 }, /^memoryStorage: keepsLog must be true or false, got 0$/);
});
