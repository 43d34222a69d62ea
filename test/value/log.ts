/** Logs for the tests of the value: entries as clients and leaders make them, applied one by one. */
import type { TestContext } from "node:test";
import { createCborCodec } from "../../src/codec/values.js";
import { defaultGroupConfig } from "../../src/core/config.js";
import type { Entry, GroupConfig, SnapshotMeta } from "../../src/core/types.js";
import type { Codec } from "../../src/ports.js";
import { answer, type Applier, applyEntry, createApplier } from "../../src/value/applier.js";
import { encodeCommandBody, encodeQueryBody } from "../../src/value/body.js";
import { defineValue } from "../../src/value/define.js";
import { encodeSnapshot, restoreSnapshot } from "../../src/value/snapshot.js";
import type { AnyDefinedValue, Outcome } from "../../src/value/types.js";
import { decodeUtf8 } from "../../src/value/utf8.js";

export const codec: Codec = createCborCodec();

/** Counts, keeps what it was given, and can fail in every way. */
export const counter = defineValue({
  name: "counter",
  version: 1,
  initial: () => ({ n: 0, seen: [] as readonly unknown[] }),
  commands: {
    inc: (v, by: number) => ({ reply: v.n + by, value: { ...v, n: v.n + by } }),
    keep: (v, item: unknown) => ({ reply: null, value: { ...v, seen: [...v.seen, item] } }),
    big: (v, size: number) => ({ reply: "x".repeat(size), value: { ...v, n: v.n + 1 } }),
    stamp: (v, _arg, applied) => ({ reply: applied, value: v }),
    fail: (_v, message: string) => {
      throw new Error(message);
    },
    replyFunction: (v) => ({ reply: () => 1, value: { ...v, n: v.n + 100 } }),
    sparse: (v) => v as unknown as { reply: null; value: typeof v },
  },
  queries: {
    get: (v) => v.n,
    seen: (v) => v.seen,
    fail: () => {
      throw new Error("no");
    },
  },
});

type Fields = Partial<Entry>;

/** Makes the entries of one log, in order. */
export class LogBuilder {
  readonly entries: Entry[] = [];
  readonly #definition: AnyDefinedValue;

  constructor(definition: AnyDefinedValue = counter, config: Partial<GroupConfig> = {}) {
    this.#definition = definition;
    this.config(config);
  }

  add(fields: Fields): Entry {
    const index = this.entries.length + 1;
    const entry: Entry = {
      index,
      term: 1,
      kind: "noop",
      session: 0,
      sequence: 0,
      lowestOutstanding: 0,
      timeMs: 1000 + index,
      body: new Uint8Array(0),
      payload: null,
      ...fields,
    };
    this.entries.push(entry);
    return entry;
  }

  config(change: Partial<GroupConfig>): Entry {
    return this.add({ kind: "config", payload: { ...defaultGroupConfig, ...change } });
  }

  /** The session's id is the entry's index. */
  register(): Entry {
    return this.add({ kind: "register", sequence: 12345 });
  }

  command(
    session: number,
    sequence: number,
    name: string,
    arg?: unknown,
    {
      lowest = sequence,
      id = null,
    }: { readonly lowest?: number; readonly id?: string | null } = {},
  ): Entry {
    const body = encodeCommandBody(this.#definition, codec, name, arg !== undefined, arg, id);
    return this.add({ kind: "command", session, sequence, lowestOutstanding: lowest, body });
  }
}

export function newApplier(
  definition: AnyDefinedValue = counter,
  { freeze = true, own = codec }: { readonly freeze?: boolean; readonly own?: Codec } = {},
): Applier {
  return createApplier(definition, own, defaultGroupConfig, freeze);
}

/** Applies what is new in the log; returns the outcome of the last entry. */
export function catchUp(applier: Applier, log: LogBuilder): Outcome {
  let outcome: Outcome | null = null;
  for (const entry of log.entries.slice(applier.lastApplied)) outcome = applyEntry(applier, entry);
  if (outcome === null) throw new Error("the last entry has no outcome");
  return outcome;
}

/** An outcome as a test reads it: the decoded reply, or status, applied and message. */
export function show(outcome: Outcome): unknown {
  if (outcome.status === "ok") return outcome.body.length === 0 ? "ok" : codec.decode(outcome.body);
  return `${outcome.status}/${outcome.applied}: ${decodeUtf8(outcome.body)}`;
}

export function pull(pieces: Iterator<Uint8Array>): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let next = pieces.next(); next.done !== true; next = pieces.next()) all.push(next.value);
  return all;
}

export function metaOf(applier: Applier, change: Partial<SnapshotMeta> = {}): SnapshotMeta {
  return {
    index: applier.lastApplied,
    term: 1,
    timeMs: 0,
    membership: { voters: [], outgoing: [], learners: [], members: [] },
    membershipIndex: 0,
    config: { ...defaultGroupConfig, ...applier.sessions.limits },
    sizeBytes: 0,
    checksum: 0,
    valueVersion: applier.definition.version,
    ...change,
  };
}

/** The same state by way of a snapshot. */
export function copyBySnapshot(applier: Applier): Applier {
  const copy = newApplier(applier.definition, {
    freeze: applier.freezer !== null,
    own: applier.codec,
  });
  restoreSnapshot(copy, metaOf(applier), pull(encodeSnapshot(applier).pieces));
  return copy;
}

/** Everything replicated, as bytes: equal states have equal ones. */
export function fingerprint(applier: Applier): Buffer {
  return Buffer.concat(pull(encodeSnapshot(applier).pieces));
}

/** Applies one command of a new session to a new value. */
export function runOne(
  definition: AnyDefinedValue,
  name: string,
  arg?: unknown,
  own: Codec = codec,
) {
  const log = new LogBuilder(definition);
  const applier = newApplier(definition, { own });
  const session = log.register().index;
  log.command(session, 1, name, arg);
  const outcome = catchUp(applier, log);
  return { applier, log, session, outcome, shown: show(outcome) };
}

/** The decoded answer, or status and message. */
export function ask(applier: Applier, name: string, arg?: unknown): unknown {
  const body = encodeQueryBody(applier.definition, codec, name, arg !== undefined, arg);
  const { status, body: bytes } = answer(applier, body);
  return status === "ok" ? codec.decode(bytes) : `${status}: ${decodeUtf8(bytes)}`;
}

/** A mutable value with that command, `run`. */
export function mutableWith(command: (v: Map<string, number>) => unknown): AnyDefinedValue {
  return defineValue({
    name: "odd",
    version: 1,
    mutable: true,
    initial: () => new Map<string, number>(),
    commands: { run: command },
    queries: { size: (v: Map<string, number>) => v.size },
  });
}

/** What promises reject with that nobody has taken, until the test is over. */
export function noteUnhandled(t: TestContext): unknown[] {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  return unhandled;
}
