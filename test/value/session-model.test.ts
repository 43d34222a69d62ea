/** Whatever clients send and however members come to it, the session table does as its naive model does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { defaultGroupConfig } from "../../src/core/config.js";
import type { GroupConfig } from "../../src/core/types.js";
import { type Applier, applyEntry } from "../../src/value/applier.js";
import { findCommandId, findOutcome, type SessionLimits } from "../../src/value/sessions.js";
import type { Outcome } from "../../src/value/types.js";
import { codec, copyBySnapshot, LogBuilder, newApplier, show } from "./log.js";
import { contradiction, gone, NaiveBooks, type Ran, settled, unknown } from "./naive-books.js";

type Command = {
  readonly type: "command";
  /** Which of the sessions that were ever registered, the newest first. */
  readonly session: number;
  /** The session's next one, with a leap, or one of those that it had before. */
  readonly sequence: { readonly leap: number } | { readonly back: number };
  /** How many the client still waits for below this one; null: it never says what arrived. */
  readonly waits: number | null;
  readonly call: readonly [name: string, arg: unknown];
  readonly id: string | null;
};

type Step =
  | { readonly type: "register" }
  | { readonly type: "copy" }
  | { readonly type: "config"; readonly limits: SessionLimits }
  | Command;

const limits: fc.Arbitrary<SessionLimits> = fc.record({
  maxSessions: fc.integer({ min: 1, max: 5 }),
  maxRetainedCommandIds: fc.integer({ min: 0, max: 4 }),
  maxReplyBytesPerSession: fc.constantFrom(0, 200, 2000, 10_000),
  maxReplyBytes: fc.constantFrom(0, 300, 2000, 50_000, 50_000),
});

const command: fc.Arbitrary<Command> = fc.record({
  type: fc.constant("command" as const),
  session: fc.nat(6),
  sequence: fc.oneof(
    { weight: 6, arbitrary: fc.record({ leap: fc.constantFrom(0, 0, 0, 0, 1, 5, 2 ** 40) }) },
    { weight: 4, arbitrary: fc.record({ back: fc.nat(12) }) },
  ),
  waits: fc.option(fc.oneof(fc.nat(12), fc.constant(-1)), { freq: 4 }),
  call: fc.oneof(
    fc.tuple(fc.constant("inc"), fc.integer({ min: 1, max: 100_000 })),
    fc.tuple(fc.constant("big"), fc.constantFrom(0, 30, 200, 1500)),
    fc.tuple(fc.constant("fail"), fc.constantFrom("no", "é".repeat(600))),
  ),
  id: fc.option(fc.constantFrom("a", "b", "c", "d", "e", "f"), { freq: 2 }),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ type: "register" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "copy" as const }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("config" as const), limits }) },
  { weight: 25, arbitrary: command },
);

/** What the model says, in the model's words. */
function inShort(outcome: Outcome | null): unknown {
  if (outcome === null) return null;
  const shown = show(outcome);
  if (typeof shown !== "string" || !shown.startsWith("sessionExpired")) return shown;
  if (/received already/.test(shown)) return settled;
  if (/no longer kept/.test(shown)) return gone;
  return /contradict/.test(shown) ? contradiction : unknown;
}

class Twins {
  readonly log: LogBuilder;
  readonly books: NaiveBooks;
  applier = newApplier();
  readonly #registered: number[] = [];
  readonly #used = new Map<number, number[]>();
  #total = 0;

  constructor(first: SessionLimits) {
    this.log = new LogBuilder(undefined, first);
    this.books = new NaiveBooks(first);
    applyEntry(this.applier, this.log.entries[0]!);
  }

  take(one: Step): void {
    if (one.type === "copy") this.applier = copyBySnapshot(this.applier);
    else if (one.type === "command") this.#command(one);
    else if (one.type === "config") {
      applyEntry(this.applier, this.log.config(one.limits as Partial<GroupConfig>));
      this.books.configure({ ...defaultGroupConfig, ...one.limits });
    } else {
      const entry = this.log.register();
      this.#registered.unshift(entry.index);
      this.#used.set(entry.index, []);
      applyEntry(this.applier, entry);
      this.books.register(entry.index);
    }
  }

  #command({ session: which, sequence: choice, waits, call, id }: Command): void {
    const session = this.#registered[which] ?? 9999;
    const used = this.#used.get(session) ?? [];
    const next = used.reduce((most, sequence) => Math.max(most, sequence), 0) + 1;
    let sequence = "leap" in choice ? next + choice.leap : (used.at(-1 - choice.back) ?? next);
    if (!Number.isSafeInteger(sequence)) sequence = next;
    used.push(sequence);
    const lowest = waits === null ? 0 : Math.max(0, sequence - waits);
    this.#lookAt(session, sequence);
    const entry = this.log.command(session, sequence, call[0], call[1], { lowest, id });
    const outcome = inShort(applyEntry(this.applier, entry));
    const expected = this.books.command(session, sequence, lowest, id, () => this.#run(call));
    assert.deepEqual(outcome, expected);
    this.#lookAt(session, sequence);
  }

  #run([name, arg]: readonly [string, unknown]): Ran {
    if (name === "fail") {
      const shown = `commandFailed/no: ${(arg as string).slice(0, 512)}`;
      return { shown, bodyBytes: 512 };
    }
    this.#total += name === "inc" ? (arg as number) : 1;
    const shown = name === "inc" ? this.#total : "x".repeat(arg as number);
    return { shown, bodyBytes: codec.encode(shown).length };
  }

  #lookAt(session: number, sequence: number): void {
    const found = findOutcome(this.applier.sessions, session, sequence, Infinity);
    assert.deepEqual(inShort(found), this.books.look(session, sequence));
  }

  check(): void {
    const { books } = this;
    assert.deepEqual(stateOf(this.applier), {
      sessions: books.sessions.map(({ id, floor, dropped }) => ({ id, floor, dropped })),
      ids: books.ids,
      known: books.ids.map((id) => books.replies.find((one) => one.id === id)?.shown ?? gone),
      replies: books.replies.map(({ session, sequence, id }) => [session, sequence, id]),
      replyCount: books.replies.length,
      totalBytes: books.totalBytes(),
      total: this.#total,
    });
  }
}

function stateOf({ sessions, value }: Applier): unknown {
  const listed = [];
  for (let one = sessions.oldest; one !== null; one = one.newer) {
    listed.push({ id: one.id, floor: one.floor, dropped: [...(one.dropped ?? [])] });
  }
  const replies = [];
  for (let one = sessions.oldestReply; one !== null; one = one.newer) {
    replies.push([one.session?.id ?? 0, one.sequence, one.id]);
  }
  const ids = [...sessions.commandIds.keys()];
  return {
    sessions: listed,
    ids,
    known: ids.map((id) => inShort(findCommandId(sessions, id))),
    replies,
    replyCount: sessions.replyCount,
    totalBytes: sessions.totalBytes,
    total: (value as { readonly n: number }).n,
  };
}

test("sessions, replies, marks and ids are those of the naive model after every entry", () => {
  fc.assert(
    fc.property(
      limits,
      fc.array(step, { minLength: 20, maxLength: 150, size: "max" }),
      (first, steps) => {
        const twins = new Twins(first);
        twins.take({ type: "register" });
        for (const one of steps) {
          twins.take(one);
          twins.check();
        }
      },
    ),
    { numRuns: 200 },
  );
});
