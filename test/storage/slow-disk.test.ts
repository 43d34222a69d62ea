/** A disk that hangs fails nothing and answers nothing: it is said who does not answer (hazard 83). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk } from "./fake-disk.js";
import { Opened, entriesOf, identityOf, largeSegments } from "./support.js";

/** One whose syncs wait from `hang` to `goOn`. */
function hangingDisk() {
  const disk = new FakeDisk();
  let answered = Promise.resolve();
  let goOn: () => void = () => undefined;
  const open = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await open(path, mode);
    const sync = async (): Promise<void> => {
      await answered;
      await file.sync();
    };
    return { ...file, sync };
  };
  const hang = (): void => {
    answered = new Promise((resolve) => (goOn = resolve));
  };
  return { disk, hang, goOn: () => goOn() };
}

test("a disk that does not answer is named once each time, with how long that is, and not while it is idle", async (t) => {
  const { disk, hang, goOn } = hangingDisk();
  let nowMs = 1_000_000;
  t.mock.method(performance, "now", () => nowMs);
  const opened = await Opened.open("/data", { ...largeSegments, slowSyncMs: 1000, fs: disk });
  opened.storage.createGroup(identityOf("queue"));
  let next = 1;
  const store = (): number => opened.store("queue", entriesOf(next++, 1));
  await opened.stored("queue", store());
  for (const round of [1, 2]) {
    hang();
    store();
    nowMs += 999;
    store();
    assert.equal(opened.warnings().length, round - 1);
    nowMs += 1;
    store();
    nowMs += 5000;
    const last = store();
    assert.equal(opened.warnings().length, round, "once");
    assert.match(opened.warnings()[round - 1]!, /\/data has not answered for 1000 ms/);
    goOn();
    await opened.stored("queue", last);
    await opened.stored("queue", store());
    nowMs += 60_000;
    opened.storage.flush();
    assert.equal(opened.warnings().length, round, "nothing is asked of it");
  }
  await opened.close();
});
