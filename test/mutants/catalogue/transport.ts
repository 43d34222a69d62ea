/** What a network may do to a stream, and what a connection owes those at its two ends. */
import { type Mutant, unit } from "../types.js";

const framing = unit("test/codec/frame.test");
const tcp = unit("test/transport/tcp.test");
const hostile = unit("test/transport/tcp-hostile.test");
const lifetime = unit("test/transport/tcp-lifetime.test");
const sums = unit("test/transport/shared-sums.test");
const tls = unit("test/transport/tls.test");
const contract = unit("test/transport/contract.test");

const reading: readonly Mutant[] = [
  {
    id: "damage-goes-unnoticed",
    hazards: [],
    bug: "a frame that was damaged on the way is handed out as it came",
    file: "src/codec/frame.ts",
    find: "if (sum !== declared) {",
    replace: "if (false) {",
    catchers: [framing],
  },
  {
    id: "header-in-three-reads",
    hazards: [],
    bug: "the header of a frame that comes in three reads is put together in the wrong order",
    file: "src/codec/frame.ts",
    find: "this.#header.set(chunk.subarray(at, at + taken), this.#headerFilled);",
    replace: "this.#header.set(chunk.subarray(at, at + taken), frameHeaderBytes - taken);",
    catchers: [framing],
  },
  {
    id: "declared-length-is-believed",
    hazards: [95],
    bug: "a stranger that declares a frame of 40 MB is given 40 MB of memory at once",
    file: "src/codec/frame.ts",
    find: "this.established ? trustedBytes : strangerBytes",
    replace: "length",
    catchers: [hostile],
  },
  {
    id: "large-frame-copied-with-each-read",
    hazards: [94],
    bug: "a large frame is copied as a whole with each read that brings some more of it",
    file: "src/codec/frame.ts",
    find: "Math.max(filled, body.length * 4)",
    replace: "filled",
    catchers: [framing],
  },
  {
    id: "preamble-is-enough",
    hazards: [95],
    bug: "a stranger that says the preamble and then nothing holds a connection for ever",
    file: "src/transport/tcp-connection.ts",
    find: 'return this.#side === "dialled" ? this.#reader.greeted : this.#reader.established;',
    replace: "return this.#reader.greeted;",
    catchers: [hostile],
  },
  {
    id: "chunk-overtakes-the-queue",
    hazards: [],
    bug: "what a socket reads overtakes what waits in its stream",
    file: "src/transport/incoming.ts",
    find: "stream.readableFlowing === true && stream.readableLength === 0",
    replace: "true",
    catchers: [unit("test/transport/incoming.test")],
  },
];

const writing: readonly Mutant[] = [
  {
    id: "leaves-without-a-farewell",
    hazards: [],
    bug: "a side that closes in good order leaves like one that was killed",
    file: "src/transport/tcp-connection.ts",
    find: "this.#socket.end(makeFarewell());",
    replace: "this.#socket.end();",
    catchers: [contract, tcp],
  },
  {
    id: "cut-taken-for-a-farewell",
    hazards: [],
    bug: "a reset while the other side is still owed something passes for an orderly end",
    file: "src/transport/tcp-connection.ts",
    find: "this.#connected && this.#queuedBytes === 0) return null;",
    replace: "this.#connected) return null;",
    catchers: [lifetime],
  },
  {
    id: "drains-again-and-again",
    hazards: [],
    bug: "who waited once for a connection to drain is told so after each write from then on",
    file: "src/transport/tcp-connection.ts",
    find: "this.#full = false;\n      if (this.#state",
    replace: "if (this.#state",
    catchers: [contract],
  },
  {
    id: "short-payloads-cost-nothing",
    hazards: [95],
    bug: "millions of short payloads pile up for a side that takes nothing",
    file: "src/codec/frame.ts",
    find: "return Math.max(payloadBytes, leastPayloadBytes * payloads);",
    replace: "return payloadBytes;",
    catchers: [tcp],
  },
  {
    id: "ended-connection-is-still-expected",
    hazards: [],
    bug: "parts are held on to because a connection that broke in that turn has not packed its frames",
    file: "src/transport/tcp-connection.ts",
    find: "    this.#flushScheduled = false;\n    try {",
    replace:
      '    this.#flushScheduled = false;\n    if (this.#state === "ended") return;\n    try {',
    catchers: [lifetime],
  },
  {
    id: "sum-of-another-part-of-the-buffer",
    hazards: [],
    bug: "two bodies of one size in one buffer are sent with the checksum of the first",
    file: "src/transport/shared-sums.ts",
    find: "this.#parts.indexOf(bytes);",
    replace:
      "this.#parts.findIndex((p) => p?.buffer === bytes.buffer && p.length === bytes.length);",
    catchers: [sums],
  },
  {
    id: "stall-clock-runs-on",
    hazards: [],
    bug: "a connection that has nothing to send is given up because the other side takes nothing",
    file: "src/transport/tcp-connection.ts",
    find: "this.#writingBytes = -1;\n    this.#stallDeadlineMs = Infinity;",
    replace: "this.#writingBytes = -1;",
    catchers: [lifetime],
  },
  {
    id: "parts-sent-as-frames",
    hazards: [],
    bug: "through a transport without sendParts the parts of a frame are sent as frames of their own",
    file: "src/codec/send-frame.ts",
    find: "else connection.send(concatenate(parts));",
    replace: "else for (const part of parts) connection.send(part);",
    catchers: [unit("test/codec/wire.test")],
  },
];

const lifetimes: readonly Mutant[] = [
  {
    id: "ballast-outlives-the-connections",
    hazards: [],
    bug: "memory that is taken to keep the heap's limit high is kept when all connections are gone",
    file: "src/transport/tcp.ts",
    find: "    this.heapLimit.letGo();",
    replace: "",
    catchers: [unit("test/transport/heap-limit.test")],
  },
  {
    id: "collections-counted-whatever-lives",
    hazards: [],
    bug: "a full collection of a large heap is allowed as often as one of a small heap",
    file: "src/transport/heap-limit.ts",
    find: "if (heap.usedBytes > sinceMs * tooManyBytesPerMs) this.#raise(heap);",
    replace: "if (sinceMs < 500) this.#raise(heap);",
    catchers: [unit("test/transport/heap-limit.test")],
  },
  {
    id: "small-collections-taken-for-full-ones",
    hazards: [],
    bug: "small collections are taken for full ones, and garbage that is made on their account brings full ones",
    file: "src/transport/collections.ts",
    find: "const isFull = detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;",
    replace: "const isFull = true;",
    catchers: [unit("test/transport/heap-limit.test")],
  },
  {
    id: "small-collection-had-though-there-was-one",
    hazards: [],
    bug: "small collections are asked for however many V8 has by itself",
    file: "src/transport/heap-limit.ts",
    find: "    this.#youngBytes = 0;\n    if (isFull)",
    replace: "    if (isFull)",
    catchers: [unit("test/transport/heap-limit.test")],
  },
  {
    id: "nudge-before-the-ballast",
    hazards: [],
    bug: "a full collection is had before there is enough that grows old to set the limit high",
    file: "src/transport/heap-limit.ts",
    find: "if (this.#ballast.length > 0) this.#nudgeWhenLoaded(this.#ballast);",
    replace: "if (this.#ballast.length > 0) this.#ports.nudge(nudgeBytes);",
    catchers: [unit("test/transport/heap-limit.test")],
  },
  {
    id: "listener-ends-whom-it-took-in",
    hazards: [],
    bug: "closing a listener with TLS breaks the connections that it has accepted",
    file: "src/transport/tcp.ts",
    find: "this.#shaking.delete(remoteOf(socket));\n      this.#serve(socket);",
    replace: "this.#serve(socket);",
    catchers: [contract],
  },
  {
    id: "accept-failure-ends-the-process",
    hazards: [],
    bug: "a process that has no file descriptors left for one connection more ends",
    file: "src/transport/tcp.ts",
    find: 'server.on("error", (error) => {',
    replace: 'server.on("never", (error) => {',
    catchers: [lifetime],
  },
  {
    id: "authority-that-is-none",
    hazards: [],
    bug: "an empty text or the path of a file is taken for an authority, and anybody's or nobody's trusted",
    file: "src/transport/tls-options.ts",
    find: "pems(tls.ca).forEach(checkAuthorities);",
    replace: "pems(tls.ca);",
    catchers: [tls],
  },
  {
    id: "first-authority-alone",
    hazards: [],
    bug: "of several authorities in tls.ca only the first is trusted",
    file: "src/transport/tls-options.ts",
    find: ": given.map((one) => pem(one));",
    replace: ": [pem(given[0]!)];",
    catchers: [tls],
  },
];

export const transport: readonly Mutant[] = [...reading, ...writing, ...lifetimes];
