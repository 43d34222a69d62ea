/** Exactly once: what the replicated session table promises to clients that retry. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Applier, applyEntry, cloneApplier } from "../../src/value/applier.js";
import { defineValue } from "../../src/value/define.js";
import { findOutcome, keepReply } from "../../src/value/sessions.js";
import { catchUp, copyBySnapshot, fingerprint, LogBuilder, newApplier, show } from "./log.js";

function keptOf(applier: Applier, session: number): readonly number[] {
  const { kept } = applier.sessions.byId.get(session)!;
  return kept.values().map(({ sequence }) => sequence);
}

const expired = /^sessionExpired\/maybe: /;

test("hazard 85: a command that is retried through the log is applied once and answered alike", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 1, "inc", 5);
  const first = catchUp(applier, log);
  log.command(session, 1, "inc", 5);
  const second = catchUp(applier, log);
  assert.equal(show(first), 5);
  assert.deepEqual(second, first);
  log.command(session, 2, "inc", 1);
  assert.equal(show(catchUp(applier, log)), 6);
});

test("hazard 86: a command of an evicted session is refused, never applied again", () => {
  const log = new LogBuilder(undefined, { maxSessions: 2 });
  const applier = newApplier();
  const first = log.register().index;
  log.command(first, 1, "inc", 5);
  log.register();
  log.register();
  log.command(first, 1, "inc", 5);
  assert.match(show(catchUp(applier, log)) as string, expired);
  assert.deepEqual(applier.value, { n: 5, seen: [] });
  assert.equal(applier.sessions.byId.size, 2);
});

test("a session that never was is an expired one, not a new one", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  log.command(77, 1, "inc", 5);
  assert.match(show(catchUp(applier, log)) as string, expired);
  log.command(0, 1, "inc", 5);
  assert.match(show(catchUp(applier, log)) as string, expired);
  assert.deepEqual(applier.value, { n: 0, seen: [] });
});

test("hazard 87: the least recently used session in log order goes, whatever members looked up", () => {
  const log = new LogBuilder(undefined, { maxSessions: 3 });
  const busy = newApplier();
  const idle = newApplier();
  const [a, b, c] = [log.register().index, log.register().index, log.register().index];
  log.command(a, 1, "inc", 1);
  log.command(c, 1, "inc", 1);
  catchUp(busy, log);
  catchUp(idle, log);
  for (let i = 0; i < 10; i++) findOutcome(busy.sessions, b, 1, busy.lastApplied);
  log.register();
  catchUp(busy, log);
  catchUp(idle, log);
  assert.deepEqual([...busy.sessions.byId.keys()], [a, c, log.entries.length]);
  assert.ok(!busy.sessions.byId.has(b));
  assert.deepEqual(fingerprint(busy), fingerprint(idle));
});

test("hazard 88: pipelined commands may be applied out of order, each once", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  const lowest = 5;
  log.command(session, 6, "inc", 10, { lowest });
  assert.equal(show(catchUp(applier, log)), 10);
  log.command(session, 5, "inc", 1, { lowest });
  assert.equal(show(catchUp(applier, log)), 11);
  log.command(session, 6, "inc", 10, { lowest });
  assert.equal(show(catchUp(applier, log)), 10);
  log.command(session, 7, "inc", 100, { lowest: 7 });
  assert.equal(show(catchUp(applier, log)), 111);
});

test("what the client has received is forgotten, and asking for it again is refused", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  for (let sequence = 1; sequence <= 5; sequence++) {
    log.command(session, sequence, "inc", 1, { lowest: 1 });
  }
  log.command(session, 6, "inc", 1, { lowest: 4 });
  catchUp(applier, log);
  assert.deepEqual(keptOf(applier, session), [4, 5, 6]);
  log.command(session, 3, "inc", 1, { lowest: 1 });
  assert.match(show(catchUp(applier, log)) as string, expired);
  assert.deepEqual(applier.value, { n: 6, seen: [] });
});

test("a client that leaps ahead by millions of sequences costs no more than what it kept", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 1, "inc", 1);
  log.command(session, Number.MAX_SAFE_INTEGER, "inc", 1);
  assert.equal(show(catchUp(applier, log)), 2);
  assert.equal(applier.sessions.byId.get(session)!.kept.size, 1);
});

test("a client that leaps ahead keeps the reply of the command that it still waits for", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 9, "inc", 1, { lowest: 1 });
  log.command(session, 10, "inc", 1, { lowest: 9 });
  catchUp(applier, log);
  log.command(session, 9, "inc", 1, { lowest: 9 });
  assert.equal(show(catchUp(applier, log)), 1);
  assert.deepEqual(applier.value, { n: 2, seen: [] });
});

test("whether the client moves on by one or leaps, what it still waits for is applied once, its reply dropped or not", () => {
  for (const [first, floor] of [
    [1, 2],
    [8, 9],
  ] as const) {
    const log = new LogBuilder(undefined, { maxReplyBytesPerSession: 0 });
    const applier = newApplier();
    const session = log.register().index;
    log.command(session, first, "inc", 1, { lowest: 1 });
    log.command(session, floor, "inc", 1, { lowest: 1 });
    log.command(session, floor + 1, "inc", 1, { lowest: floor });
    log.command(session, floor, "inc", 1, { lowest: floor });
    assert.match(show(catchUp(applier, log)) as string, /no longer kept/);
    assert.deepEqual(applier.value, { n: 3, seen: [] });
  }
});

test("sequences that are no whole numbers, or that contradict each other, are refused", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  const bad: [number, number][] = [
    [NaN, 0],
    [1.5, 0],
    [-1, -1],
    [2 ** 60, 0],
    [1, 2],
    [1, NaN],
    [3, 1.5],
  ];
  for (const [sequence, lowest] of bad) {
    log.command(session, sequence, "inc", 1, { lowest });
    assert.match(show(catchUp(applier, log)) as string, /^sessionExpired\/no: /);
  }
  assert.deepEqual(applier.value, { n: 0, seen: [] });
  assert.deepEqual(fingerprint(copyBySnapshot(applier)), fingerprint(applier));
});

/** A session that has applied so many commands, whose replies of 1000 bytes are not all kept. */
function overItsBound(commands: number) {
  const log = new LogBuilder(undefined, { maxReplyBytesPerSession: 4096 });
  const applier = newApplier();
  const session = log.register().index;
  for (let sequence = 1; sequence <= commands; sequence++) {
    log.command(session, sequence, "big", 1000, { lowest: 1 });
  }
  catchUp(applier, log);
  return { log, applier, session };
}

test("replies over the bound of a session are dropped oldest first, and leave a mark", () => {
  const { log, applier, session } = overItsBound(5);
  assert.ok(applier.sessions.byId.get(session)!.keptBytes <= 4096);
  log.command(session, 1, "big", 1000, { lowest: 1 });
  assert.match(show(catchUp(applier, log)) as string, /^sessionExpired\/maybe: .*no longer kept/);
  log.command(session, 5, "big", 1000, { lowest: 1 });
  assert.equal((show(catchUp(applier, log)) as string).length, 1000);
  assert.deepEqual(applier.value, { n: 5, seen: [] });
});

test("a reply that is over the bound by itself is answered once and not kept", () => {
  const log = new LogBuilder(undefined, { maxReplyBytesPerSession: 1024 });
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 1, "big", 5000);
  assert.equal((show(catchUp(applier, log)) as string).length, 5000);
  log.command(session, 1, "big", 5000);
  assert.match(show(catchUp(applier, log)) as string, expired);
});

test("replies of all sessions together are bounded, and a dropped one is never applied again", () => {
  const log = new LogBuilder(undefined, { maxReplyBytes: 10_000 });
  const applier = newApplier();
  const sessions = Array.from({ length: 20 }, () => log.register().index);
  for (const session of sessions) log.command(session, 1, "big", 1000);
  catchUp(applier, log);
  assert.ok(applier.sessions.totalBytes <= 10_000);
  let refused = 0;
  for (const session of sessions) {
    log.command(session, 1, "big", 1000);
    const shown = show(catchUp(applier, log)) as string;
    if (expired.test(shown)) refused += 1;
    else assert.equal(shown.length, 1000);
  }
  assert.ok(refused > 5 && refused < 20, `${refused} refused`);
  assert.deepEqual(applier.value, { n: 20, seen: [] });
});

test("the marks of dropped replies are bounded as well: the least used session goes", () => {
  const log = new LogBuilder(undefined, { maxReplyBytes: 1024 });
  const applier = newApplier();
  const first = log.register().index;
  const second = log.register().index;
  for (let sequence = 1; sequence <= 200; sequence++) {
    log.command(sequence % 2 === 0 ? first : second, sequence, "inc", 1, { lowest: 1 });
    catchUp(applier, log);
    assert.ok(applier.sessions.totalBytes <= 1024);
  }
  assert.ok(applier.sessions.byId.size < 2);
});

test("a caller's own id is honoured from any session, also before the first was answered", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const a = log.register().index;
  const b = log.register().index;
  log.command(a, 1, "inc", 5, { id: "order-1" });
  log.command(b, 1, "inc", 5, { id: "order-1" });
  log.command(b, 2, "inc", 7, { id: "order-2" });
  const outcomes = log.entries.map((entry) => applyEntry(applier, entry));
  assert.deepEqual(outcomes[4], outcomes[3]);
  assert.equal(show(outcomes[5]!), 12);
  log.command(b, 3, "inc", 5, { id: "order-1" });
  assert.equal(show(catchUp(applier, log)), 5);
});

test("ids beyond maxRetainedCommandIds are new commands, as the documentation says", () => {
  const log = new LogBuilder(undefined, { maxRetainedCommandIds: 2 });
  const applier = newApplier();
  const session = log.register().index;
  let sequence = 0;
  const inc = (id: string): unknown => {
    log.command(session, ++sequence, "inc", 1, { id });
    return show(catchUp(applier, log));
  };
  assert.deepEqual(["a", "b", "a", "c", "b", "a"].map(inc), [1, 2, 1, 3, 2, 4]);
  log.config({ maxRetainedCommandIds: 0 });
  assert.deepEqual(["a", "a"].map(inc), [5, 6]);
  assert.equal(applier.sessions.commandIds.size, 0);
});

test("an id whose reply was dropped for its size is refused and not applied again", () => {
  const log = new LogBuilder(undefined, { maxReplyBytes: 3000 });
  const applier = newApplier();
  const a = log.register().index;
  log.command(a, 1, "big", 1000, { id: "x" });
  log.command(a, 2, "big", 1000, { id: "y" });
  log.command(a, 3, "big", 1000, { id: "z" });
  log.command(a, 4, "big", 1000, { id: "x" });
  assert.match(show(catchUp(applier, log)) as string, expired);
  assert.deepEqual(applier.value, { n: 3, seen: [] });
});

test("tighter limits from the log are in force at once", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const sessions = Array.from({ length: 10 }, () => log.register().index);
  for (const session of sessions) log.command(session, 1, "big", 500, { id: `id-${session}` });
  log.config({
    maxSessions: 3,
    maxRetainedCommandIds: 2,
    maxReplyBytes: 2000,
    maxReplyBytesPerSession: 1024,
  });
  for (const entry of log.entries) applyEntry(applier, entry);
  assert.deepEqual([...applier.sessions.byId.keys()], sessions.slice(7));
  assert.equal(applier.sessions.commandIds.size, 2);
  assert.ok(applier.sessions.totalBytes <= 2000);
});

test("a retry is answered from the table before it reaches the log, and only if that is certain", () => {
  const log = new LogBuilder(undefined, { maxSessions: 2 });
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 4, "inc", 5);
  const outcome = catchUp(applier, log);
  const find = (id: number, sequence: number) =>
    findOutcome(applier.sessions, id, sequence, applier.lastApplied);
  assert.equal(find(session, 4), outcome);
  assert.equal(find(session, 3)!.status, "sessionExpired");
  assert.equal(find(session, 5), null);
  // Its registration may be committed and not applied here yet.
  assert.equal(find(applier.lastApplied + 1, 1), null);
  assert.equal(find(1, 1)!.status, "sessionExpired");
});

test("hazard 58: sessions, kept replies and ids survive a snapshot, and so does their order", () => {
  const log = new LogBuilder(undefined, { maxSessions: 3 });
  const applier = newApplier();
  const [a, b, c] = [log.register().index, log.register().index, log.register().index];
  log.command(b, 1, "inc", 1, { id: "once" });
  log.command(a, 9, "inc", 2, { lowest: 3 });
  log.command(c, 1, "big", 5000);
  catchUp(applier, log);
  const copy = copyBySnapshot(applier);
  assert.deepEqual(fingerprint(copy), fingerprint(applier));
  log.command(b, 1, "inc", 1, { id: "once" });
  log.command(a, 9, "inc", 2, { lowest: 3 });
  log.command(c, 2, "inc", 1, { id: "once", lowest: 1 });
  log.register();
  log.command(b, 1, "inc", 1);
  for (const entry of log.entries.slice(copy.lastApplied)) {
    assert.deepEqual(applyEntry(copy, entry), applyEntry(applier, entry));
  }
  assert.deepEqual(copy.value, { n: 4, seen: [] });
  assert.deepEqual(fingerprint(copy), fingerprint(applier));
});

test("hazard 58: whoever gets a copy knows which commands were applied though their replies were dropped", () => {
  const { log, applier, session } = overItsBound(6);
  const { dropped } = applier.sessions.byId.get(session)!;
  assert.deepEqual([...dropped!], [1, 2, 3]);
  const copies = [copyBySnapshot(applier), copyBySnapshot(copyBySnapshot(applier))];
  copies.push(cloneApplier(applier));
  for (const sequence of [1, 3]) log.command(session, sequence, "big", 1000, { lowest: 1 });
  const again = log.entries.slice(applier.lastApplied);
  for (const copy of [...copies, applier]) {
    for (const entry of again) {
      assert.match(show(applyEntry(copy, entry)!) as string, /^sessionExpired.*no longer kept/);
    }
    assert.deepEqual(copy.value, { n: 6, seen: [] });
    assert.deepEqual(fingerprint(copy), fingerprint(copies[0]!));
  }
});

test("a clone goes its own way", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 1, "inc", 1, { id: "x" });
  catchUp(applier, log);
  const before = fingerprint(applier);
  const clone = cloneApplier(applier);
  log.command(session, 2, "inc", 1, { lowest: 1 });
  log.register();
  catchUp(clone, log);
  assert.deepEqual(fingerprint(applier), before);
  assert.notDeepEqual(fingerprint(clone), before);
  keepReply(clone.sessions, clone.sessions.byId.get(session)!, 3, catchUp(applier, log));
  assert.equal(applier.sessions.byId.get(session)!.kept.size, 2);
});

test("what is kept does not depend on the text of an error, which another engine may word otherwise", () => {
  const failing = (text: string) =>
    defineValue({
      name: "counter",
      version: 1,
      initial: () => 0,
      commands: {
        inc: (n) => ({ reply: n + 1, value: n + 1 }),
        fail: (): { reply: number; value: number } => {
          throw new Error(text);
        },
      },
      queries: {},
    });
  const terse = failing("no");
  const wordy = failing("Cannot read properties of undefined ".repeat(30));
  const log = new LogBuilder(terse, { maxReplyBytesPerSession: 4096 });
  const appliers = [newApplier(terse), newApplier(wordy)];
  const session = log.register().index;
  for (let sequence = 1; sequence <= 40; sequence++) {
    log.command(session, sequence, sequence % 5 === 0 ? "inc" : "fail", undefined, { lowest: 1 });
    for (const applier of appliers) catchUp(applier, log);
    const [one, other] = appliers.map((applier) => keptOf(applier, session));
    assert.deepEqual(one, other);
  }
  assert.ok(keptOf(appliers[0]!, session).length < 40, "some had to go");
  for (const applier of appliers) assert.ok(applier.sessions.totalBytes <= 4096 + 40 * 16);
});
