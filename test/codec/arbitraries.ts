/** Any frame, message and entry that the types allow, for property tests. */
import fc from "fast-check";
import type { ClientReply, ClientRequest, Frame } from "../../src/codec/types.js";
import { defaultGroupConfig } from "../../src/core/config.js";
import type {
  AppendEntries,
  AppendEntriesReply,
  Entry,
  GroupConfig,
  HardState,
  Membership,
  Message,
  SnapshotMeta,
} from "../../src/core/types.js";

/** Objects as the decoder makes them. */
function record<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

/** Integers on both sides of every border that the layouts know. */
export const integer: fc.Arbitrary<number> = fc.oneof(
  fc.nat(300),
  fc.constantFrom(0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1),
  fc.maxSafeNat(),
);
const u32 = fc.oneof(fc.nat(10), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const millis = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
/** Whole code points: half a surrogate pair has no UTF-8. */
export const text = fc.string({ unit: "binary", maxLength: 20 });
export const body: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 9, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 200, maxLength: 5000, size: "max" }) },
);
const optional = fc.option(text);

export const membership: fc.Arbitrary<Membership> = record({
  voters: fc.array(text, { maxLength: 4 }),
  outgoing: fc.array(text, { maxLength: 4 }),
  learners: fc.array(record({ id: text, promote: fc.boolean(), replaces: optional }), {
    maxLength: 3,
  }),
  members: fc.array(record({ id: text, address: text }), { maxLength: 5 }),
});

export const config: fc.Arbitrary<GroupConfig> = record(
  Object.fromEntries(Object.keys(defaultGroupConfig).map((key) => [key, integer])),
) as unknown as fc.Arbitrary<GroupConfig>;

export const hardState: fc.Arbitrary<HardState> = record({
  currentTerm: integer,
  votedFor: optional,
  forcedRemovals: fc.array(text, { maxLength: 3 }),
});

// `+ 0` above and `|| 0` here: JSON knows no -0, and no clock shows it.
const jsonMillis = millis.map((value) => value || 0);

export const snapshotMeta: fc.Arbitrary<SnapshotMeta> = record({
  index: integer,
  term: integer,
  timeMs: jsonMillis,
  membership,
  membershipIndex: integer,
  config,
  sizeBytes: integer,
  checksum: u32,
  valueVersion: integer,
});

const plainEntry = record({
  kind: fc.constantFrom("noop", "command", "register"),
  body,
  payload: fc.constant(null),
});
const noBody = fc.constant(new Uint8Array(0));
const membershipEntry = record({
  kind: fc.constant("membership"),
  body: noBody,
  payload: membership,
});
const configEntry = record({ kind: fc.constant("config"), body: noBody, payload: config });

/** Narrow as often as wide: a single wide number makes an entry wide. */
const entryNumber = (wide: boolean): fc.Arbitrary<number> => (wide ? integer : u32);

/** An entry with index 0; `contiguous` gives a run its indices. */
const anyEntry: fc.Arbitrary<Entry> = fc.boolean().chain((wide) =>
  fc
    .tuple(
      record({
        term: entryNumber(wide),
        session: entryNumber(wide),
        sequence: entryNumber(wide),
        lowestOutstanding: entryNumber(wide),
        timeMs: millis,
      }),
      fc.oneof(
        { weight: 8, arbitrary: plainEntry },
        { weight: 1, arbitrary: membershipEntry },
        { weight: 1, arbitrary: configEntry },
      ),
    )
    .map(([numbers, content]) => ({ index: 0, ...numbers, ...content }) as Entry),
);

export function contiguous(firstIndex: number, list: readonly Entry[]): Entry[] {
  return list.map((entry, i) => ({ ...entry, index: firstIndex + i }));
}

export const entries: fc.Arbitrary<Entry[]> = fc
  .tuple(fc.nat(2 ** 40), fc.array(anyEntry, { maxLength: 8 }))
  .map(([first, list]) => contiguous(first + 1, list));

const appendEntries: fc.Arbitrary<Message> = record({
  type: fc.constant("appendEntries" as const),
  term: integer,
  prevLogIndex: fc.oneof(fc.nat(1000), fc.nat(2 ** 45)),
  prevLogTerm: integer,
  commitIndex: integer,
  round: integer,
  sentAtMs: millis,
  promiseMs: millis,
  entries: fc.array(anyEntry, { maxLength: 8 }),
}).map((message) => ({
  ...message,
  entries: contiguous(message.prevLogIndex + 1, message.entries),
}));

function tagged<Type extends string, T>(
  type: Type,
  fields: { [K in keyof T]: fc.Arbitrary<T[K]> },
): fc.Arbitrary<T & { type: Type }> {
  return record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<
    T & { type: Type }
  >;
}

const bool = fc.boolean();

/** By type, so that a new message without an arbitrary does not compile. */
const messages: { [Type in Message["type"]]: fc.Arbitrary<Message> } = {
  appendEntries,
  preVote: tagged("preVote", { term: integer, lastLogIndex: integer, lastLogTerm: integer }),
  preVoteReply: tagged("preVoteReply", {
    term: integer,
    requestTerm: integer,
    granted: bool,
    removed: bool,
  }),
  requestVote: tagged("requestVote", {
    term: integer,
    lastLogIndex: integer,
    lastLogTerm: integer,
    transfer: bool,
  }),
  requestVoteReply: tagged("requestVoteReply", { term: integer, granted: bool }),
  appendEntriesReply: tagged("appendEntriesReply", {
    term: integer,
    success: bool,
    matchIndex: integer,
    hintIndex: integer,
    hintTerm: integer,
    round: integer,
    sentAtMs: millis,
  }),
  installSnapshot: tagged("installSnapshot", {
    term: integer,
    snapshot: snapshotMeta,
    offset: integer,
    data: body,
    round: integer,
    sentAtMs: millis,
    promiseMs: millis,
  }),
  installSnapshotReply: tagged("installSnapshotReply", {
    term: integer,
    snapshotIndex: integer,
    snapshotTerm: integer,
    offset: integer,
    installed: bool,
    round: integer,
    sentAtMs: millis,
  }),
  timeoutNow: tagged("timeoutNow", { term: integer }),
  readIndex: tagged("readIndex", { term: integer, batch: integer }),
  readIndexReply: tagged("readIndexReply", { term: integer, batch: integer, readIndex: integer }),
  compareHashes: fc
    .tuple(
      integer,
      fc.array(fc.tuple(integer, millis), { maxLength: 6 }),
      fc.option(
        fc.record(
          { index: integer, valueHash: millis, valueVersion: integer, sizeBytes: integer },
          { noNullPrototype: true },
        ),
      ),
    )
    .map(([term, pairs, snapshot]) => ({
      type: "compareHashes" as const,
      term,
      indices: pairs.map(([index]) => index),
      hashes: pairs.map(([, hash]) => hash),
      snapshot,
    })),
};

export const message: fc.Arbitrary<Message> = fc.oneof(...Object.values(messages));

const request: fc.Arbitrary<ClientRequest> = fc.oneof(
  tagged("register", { request: integer, nonce: integer }),
  fc.boolean().chain((wide) =>
    tagged("command", {
      request: entryNumber(wide),
      session: entryNumber(wide),
      sequence: entryNumber(wide),
      lowestOutstanding: entryNumber(wide),
      body,
    }),
  ),
  tagged("query", { request: integer, stale: bool, body }),
  tagged("admin", { request: integer, verb: text, body }),
);

const reply: fc.Arbitrary<ClientReply> = record({
  request: integer,
  status: fc.oneof(fc.constant("ok"), text),
  applied: fc.constantFrom("no" as const, "maybe" as const),
  index: integer,
  body,
});

const versions = fc.array(integer, { maxLength: 4 });

const frames: { [Type in Frame["type"]]: fc.Arbitrary<Frame> } = {
  hello: tagged("hello", {
    protocol: integer,
    kind: fc.constantFrom("peer" as const, "client" as const),
    from: text,
  }),
  welcome: tagged("welcome", { protocol: integer, hostId: text }),
  openPeer: tagged("openPeer", {
    channel: u32,
    group: text,
    groupId: text,
    from: text,
    fromAddress: text,
    to: text,
    valueName: text,
    valueVersion: integer,
    compatibleVersions: versions,
  }),
  peerMessage: tagged("peerMessage", { channel: u32, message }),
  peerStanding: tagged("peerStanding", {
    slot: u32,
    channel: u32,
    message: fc.oneof(
      appendEntries.map((one) => ({ ...(one as AppendEntries), entries: [] })),
      messages.appendEntriesReply.map((one) => ({ ...(one as AppendEntriesReply), success: true })),
    ),
  }),
  peerRepeats: tagged("peerRepeats", { sentAtMs: millis, slots: fc.array(u32, { maxLength: 9 }) }),
  openClient: tagged("openClient", {
    channel: u32,
    group: text,
    valueName: optional,
    valueVersion: integer,
    compatibleVersions: versions,
  }),
  channelOpened: tagged("channelOpened", { channel: u32, groupId: text, memberId: text }),
  channelRefused: tagged("channelRefused", { channel: u32, code: text, message: text }),
  refuse: tagged("refuse", { code: text, message: text }),
  requests: tagged("requests", { channel: u32, requests: fc.array(request, { maxLength: 8 }) }),
  replies: tagged("replies", { channel: u32, replies: fc.array(reply, { maxLength: 8 }) }),
  leaderHint: tagged("leaderHint", {
    channel: u32,
    term: integer,
    leader: optional,
    address: optional,
    hosts: fc.array(text, { maxLength: 5 }),
  }),
  notify: tagged("notify", { channel: u32, request: integer, body }),
  ping: tagged("ping", { reply: bool, sentAtMs: millis }),
};

export const frame: fc.Arbitrary<Frame> = fc.oneof(
  ...Object.values(frames),
  // The one with most inside.
  frames.peerMessage,
  frames.peerMessage,
);

export const frameTypes = Object.keys(frames) as readonly Frame["type"][];
export const frameOf = (type: Frame["type"]): fc.Arbitrary<Frame> => frames[type];
