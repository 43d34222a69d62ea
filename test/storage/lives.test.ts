/**
 * Random lives: several groups on one small log are written, cut, snapshotted, compacted, deleted and
 * made anew, until the power goes at a random operation and takes a random part of what was not synced.
 * The next life begins with what is left. STORAGE_SEEDS=FROM-TO runs others.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry, HardState } from "../../src/core/types.js";
import { FakeDisk, type Fate } from "./fake-disk.js";
import {
  Opened,
  entryOf,
  hardStateOf,
  identityOf,
  metaOf,
  noise,
  type Recovered,
} from "./support.js";

const names = ["a", "b", "c"];
const options = { segmentBytes: 8192, firstSegmentBytes: 4096, maxLogBytes: 40_000 };

class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** An integer from 0 to below. */
  roll(below: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * below);
  }
}

/** A group at one moment: what a recovery may find. */
type Version = {
  readonly exists: boolean;
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
  readonly lastIndex: number;
  readonly snapshot: { readonly index: number; readonly data: Uint8Array } | null;
};

const nothing: Version = {
  exists: false,
  hardState: hardStateOf(0),
  entries: [],
  lastIndex: 0,
  snapshot: null,
};

/** All moments since the last one that is certain, oldest first. */
class Ledger {
  versions: Version[];
  /** The newest one that was acknowledged. */
  certain = 0;
  /** An operation that others of this group wait for. */
  busy = false;

  constructor(first: Version) {
    this.versions = [first];
  }

  get now(): Version {
    return this.versions.at(-1)!;
  }

  push(change: Partial<Version>): number {
    this.versions.push({ ...this.now, ...change });
    return this.versions.length - 1;
  }

  acknowledge(version: number): void {
    this.certain = Math.max(this.certain, version);
  }
}

class Life {
  readonly ledgers: Map<string, Ledger>;
  readonly #opened: Opened;
  readonly #dice: Dice;
  readonly counts: Map<string, number>;

  constructor(
    opened: Opened,
    dice: Dice,
    ledgers: Map<string, Ledger>,
    counts: Map<string, number>,
  ) {
    this.#opened = opened;
    this.#dice = dice;
    this.ledgers = ledgers;
    this.counts = counts;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** One random operation; those of a group that is busy are passed over. */
  act(): void {
    const name = names[this.#dice.roll(names.length)]!;
    const ledger = this.ledgers.get(name)!;
    if (ledger.busy) return;
    const choice = this.#dice.roll(100);
    if (!ledger.now.exists) this.#create(name, ledger);
    else if (choice < 70) this.#store(name, ledger);
    else if (choice < 82) this.#snapshot(name, ledger);
    else if (choice < 90) this.#compact(name, ledger);
    else if (choice < 95) this.#install(name, ledger);
    else if (choice < 97) this.#remove(name, ledger);
  }

  #create(name: string, ledger: Ledger): void {
    this.#count("create");
    this.#opened.storage.createGroup(identityOf(name));
    ledger.push({ ...nothing, exists: true });
  }

  #remove(name: string, ledger: Ledger): void {
    this.#count("delete");
    this.#opened.storage.deleteGroup(name);
    ledger.push(nothing);
  }

  #store(name: string, ledger: Ledger): void {
    const { now } = ledger;
    const covered = now.snapshot?.index ?? 0;
    let term = now.hardState.currentTerm + this.#dice.roll(2);
    let truncateFrom = 0;
    let last = now.lastIndex;
    if (this.#dice.roll(5) === 0 && last > covered) {
      truncateFrom = covered + 1 + this.#dice.roll(last - covered);
      last = truncateFrom - 1;
      // What is cut off is never followed by an entry of the same index and term.
      term++;
      this.#count("truncate");
    }
    const count = this.#dice.roll(4) === 0 ? 0 : 1 + this.#dice.roll(12);
    const entries = Array.from({ length: count }, (_, at) =>
      entryOf(
        last + 1 + at,
        term,
        `${name} ${this.#dice.roll(1e6)} ${"x".repeat(this.#dice.roll(60))}`,
      ),
    );
    const version = ledger.push({
      hardState: hardStateOf(term, "foo#1"),
      entries: [...now.entries.filter(({ index }) => index <= last), ...entries],
      lastIndex: last + count,
    });
    const ticket = this.#opened.store(name, entries, {
      hardState: hardStateOf(term, "foo#1"),
      truncateFrom,
    });
    void this.#opened.stored(name, ticket).then(() => {
      ledger.acknowledge(version);
    });
    this.#count("store");
  }

  #snapshot(name: string, ledger: Ledger): void {
    const { now } = ledger;
    const covered = now.snapshot?.index ?? 0;
    const choices = now.entries.filter(({ index }) => index > covered);
    const at = choices[this.#dice.roll(choices.length)];
    if (at === undefined) return;
    const data = noise(this.#dice.roll(3) === 0 ? 70_000 : 50, this.#dice.roll(1e9));
    const meta = metaOf(at.index, at.term, data);
    const sink = this.#opened.storage.beginSnapshot(name);
    sink.write(data);
    sink.commit(meta);
    this.#awaitSnapshot(name, ledger, { snapshot: { index: at.index, data } });
    this.#count("snapshot");
  }

  /** One that a leader sends: it reaches further than this log does. */
  #install(name: string, ledger: Ledger): void {
    const { now } = ledger;
    const index = now.lastIndex + 1 + this.#dice.roll(5);
    const data = noise(300, this.#dice.roll(1e9));
    const meta = metaOf(index, now.hardState.currentTerm + 1, data);
    this.#opened.storage.writeSnapshotChunk(name, meta, 0, data.subarray(0, 100));
    this.#opened.storage.writeSnapshotChunk(name, meta, 100, data.subarray(100));
    this.#opened.storage.installSnapshot(name, meta);
    const snapshot = { index, data };
    this.#awaitSnapshot(name, ledger, { snapshot, entries: [], lastIndex: index });
    this.#count("install");
  }

  #awaitSnapshot(name: string, ledger: Ledger, change: Partial<Version>): void {
    const version = ledger.push(change);
    const { index } = ledger.now.snapshot!;
    ledger.busy = true;
    const from = this.#opened.answers.length;
    const isIt = (): boolean =>
      this.#opened.answers
        .slice(from)
        .some((one) => one.type === "saved" && one.group === name && one.index === index && one.ok);
    void this.#opened.until(isIt).then(() => {
      ledger.busy = false;
      ledger.acknowledge(version);
    });
  }

  #compact(name: string, ledger: Ledger): void {
    const { snapshot } = ledger.now;
    if (snapshot === null) return;
    this.#opened.storage.compactLog(name, snapshot.index + 1 - this.#dice.roll(4));
    this.#opened.storage.flush();
    this.#count("compact");
  }
}

function isVersion(found: Recovered | undefined, version: Version): boolean {
  if (found === undefined || !version.exists) return found === undefined && !version.exists;
  const covered = version.snapshot?.index ?? 0;
  const first = found.entries[0]?.index ?? covered + 1;
  const entries = version.entries.filter(({ index }) => index >= first);
  return (
    found.damage === null &&
    first <= covered + 1 &&
    (found.snapshot?.index ?? 0) === covered &&
    JSON.stringify(found.hardState) === JSON.stringify(version.hardState) &&
    entries.length === found.entries.length &&
    entries.every((entry, at) => {
      const other = found.entries[at]!;
      return other.term === entry.term && Buffer.compare(other.body, entry.body) === 0;
    })
  );
}

/** Opens what the last life has left, and says which moment of each group that is. */
async function begin(
  disk: FakeDisk,
  before: Map<string, Ledger>,
  where: string,
): Promise<{ opened: Opened; ledgers: Map<string, Ledger> }> {
  const opened = await Opened.open("/data", { ...options, fs: disk });
  const ledgers = new Map<string, Ledger>();
  for (const name of names) {
    const ledger = before.get(name)!;
    const found = opened.group(name);
    const { versions, certain } = ledger;
    const version = versions.findLast((one, at) => at >= certain && isVersion(found, one));
    const text = String(
      JSON.stringify(found, (key, value: unknown) => (key === "config" ? 0 : value)),
    );
    assert.ok(version !== undefined, `${where}: group ${name} is ${text.slice(0, 2000)}`);
    if (version.snapshot !== null) {
      const pieces = await opened.storage.loadSnapshot(name);
      assert.ok(
        Buffer.concat(pieces).equals(version.snapshot.data),
        `${where}: snapshot of ${name}`,
      );
    }
    // What was compacted away is not asked for again.
    const entries = found?.entries ?? [];
    ledgers.set(name, new Ledger({ ...version, entries }));
  }
  return { opened, ledgers };
}

/** Sector by sector, kept or lost as the dice say; now and then all the same way. */
function randomFate(dice: Dice): Fate {
  const mode = dice.roll(4);
  return (write) => {
    if (mode === 0) return [];
    if (mode === 1) return [[0, write.bytes.length]];
    const parts: [number, number][] = [];
    const end = write.position + write.bytes.length;
    for (let at = write.position; at < end;) {
      const next = Math.min((Math.floor(at / 512) + 1) * 512, end);
      const length = dice.roll(3) === 0 ? dice.roll(next - at) : next - at;
      if (dice.roll(2) === 0) parts.push([at - write.position, at - write.position + length]);
      at = next;
    }
    return parts;
  };
}

async function runSeed(seed: number, counts: Map<string, number>): Promise<void> {
  const dice = new Dice(seed * 7919 + 1);
  let disk = new FakeDisk();
  let ledgers = new Map(names.map((name) => [name, new Ledger(nothing)] as const));
  for (let life = 0; life < 6; life++) {
    const where = `seed ${seed}, life ${life}`;
    const begun = await begin(disk, ledgers, where);
    const current = new Life(begun.opened, dice, begun.ledgers, counts);
    ledgers = begun.ledgers;
    disk.stopAt = disk.operations.length + 5 + dice.roll(400);
    for (let turn = 0; turn < 2000 && !disk.stopped; turn++) {
      for (let acts = dice.roll(4); acts > 0; acts--) current.act();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (disk.stopped) {
      disk =
        dice.roll(3) === 0
          ? disk.killImage()
          : disk.crashImage(randomFate(dice), dice.roll(2) === 0);
    } else {
      await begun.opened.close();
      assert.equal(disk.openFiles, 0);
      // An orderly close leaves everything.
      for (const ledger of ledgers.values()) ledger.certain = ledger.versions.length - 1;
    }
    assert.deepEqual(
      begun.opened.answers.filter(({ type }) => type === "failed"),
      [],
      where,
    );
  }
  await (await begin(disk, ledgers, `seed ${seed}, the end`)).opened.close();
}

test("random lives of several groups, ended by the loss of power: each goes on where it may", async (t) => {
  const [from, to] = (process.env.STORAGE_SEEDS ?? "1-12").split("-").map(Number) as [
    number,
    number,
  ];
  const counts = new Map<string, number>();
  for (let seed = from; seed <= to; seed++) await runSeed(seed, counts);
  t.diagnostic(JSON.stringify([...counts]));
  for (const what of ["store", "truncate", "snapshot", "install", "compact", "create", "delete"]) {
    assert.ok((counts.get(what) ?? 0) > 0, `there was no ${what}`);
  }
});
