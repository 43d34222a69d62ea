/** What is read as something else than it was written, and what a stranger's bytes may do. */
import { type Mutant, unit } from "../types.js";

const wire = unit("test/codec/wire.test");
const entries = unit("test/codec/entries.test");
const values = unit("test/codec/values.test");
const edges = unit("test/codec/value-edges.test");
const unslice = unit("test/codec/value-unslice.test");
const payloads = unit("test/codec/payloads.test");

const frames: readonly Mutant[] = [
  {
    id: "maybe-read-as-no",
    hazards: [89],
    bug: "a reply that leaves open whether its command was applied is read as a no",
    file: "src/codec/requests.ts",
    find: '(head & maybeBit) === 0 ? "no" : "maybe"',
    replace: '(head & failedBit) === 0 ? "maybe" : "no"',
    catchers: [wire],
  },
  {
    id: "slab-is-written-again",
    hazards: [],
    bug: "a frame that waits to be sent is written over by a later one",
    file: "src/codec/bytes.ts",
    find: "      this.bytes = new Uint8Array(this.#slabBytes);",
    replace: "      if (this.bytes.length === 0) this.bytes = new Uint8Array(this.#slabBytes);",
    catchers: [wire],
  },
  {
    id: "damaged-text-is-mended",
    hazards: [],
    bug: "a name that is no UTF-8 is read as another name",
    file: "src/codec/bytes.ts",
    find: "fatal: true",
    replace: "fatal: false",
    catchers: [wire],
  },
  {
    id: "run-of-another-length",
    hazards: [],
    bug: "a follower that lags behind is sent the entries that were encoded for another one",
    file: "src/codec/entries.ts",
    find: "run.first === first && run.last === last && run.count === count",
    replace: "run.last === last",
    catchers: [entries],
  },
  {
    id: "moved-member-keeps-its-address",
    hazards: [],
    bug: "a member that moved is looked for where it was, because its name is remembered with it",
    file: "src/codec/interned.ts",
    find: "if (known?.id === id && known.address === address) return known;",
    replace: "if (known?.id === id) return known;",
    catchers: [payloads],
  },
];

const valuesOfUsers: readonly Mutant[] = [
  {
    id: "argument-aliases-the-log",
    hazards: [],
    bug: "a command that changes the bytes it was given changes the log",
    file: "src/codec/value-simple.ts",
    find: "return new Uint8Array(bytes.subarray(from));",
    replace: "return bytes.subarray(from);",
    catchers: [edges],
  },
  {
    id: "captured-set-goes-on-changing",
    hazards: [],
    bug: "a snapshot holds what members of a set became after it was taken",
    file: "src/codec/value-capture.ts",
    find: "captureAll([...(value as Set<unknown>)], depth + 1)",
    replace: "[...(value as Set<unknown>)]",
    catchers: [edges],
  },
  {
    id: "captured-keys-go-on-changing",
    hazards: [],
    bug: "a snapshot holds what keys of a map became after it was taken",
    file: "src/codec/value-capture.ts",
    find: "captureAll([...map.keys()], depth + 1)",
    replace: "[...map.keys()]",
    catchers: [edges],
  },
  {
    id: "text-cut-between-two-halves",
    hazards: [],
    bug: "a long text that is cut into pieces between the two halves of a character loses it",
    file: "src/codec/value-slices.ts",
    find: "writer.head(3, bytes.length);\n  yield* writeBytes(writer, bytes);",
    replace:
      "writer.head(3, bytes.length);\n  for (let at = 0; at < text.length; at += 16_384)\n    yield* writeBytes(writer, new TextEncoder().encode(text.slice(at, at + 16_384)));",
    catchers: [edges],
  },
  {
    id: "view-read-from-the-start-of-its-buffer",
    hazards: [],
    bug: "a large typed array that is a part of a buffer is written from the buffer's beginning",
    file: "src/codec/value-slices.ts",
    find: "new Uint8Array(value.buffer, value.byteOffset, value.byteLength)",
    replace: "new Uint8Array(value.buffer, 0, value.byteLength)",
    catchers: [edges],
  },
  {
    id: "large-array-of-another-kind",
    hazards: [],
    bug: "a large Int32Array comes back as one of unsigned numbers",
    file: "src/codec/value-forms.ts",
    find: '["Int32Array", 78]',
    replace: '["Int32Array", 70]',
    catchers: [edges],
  },
  {
    id: "maps-nest-without-end",
    hazards: [],
    bug: "a stranger nests maps so deep that one member reads them and another one's stack ends",
    file: "src/codec/value-scan.ts",
    find: 'this.#headOf(5, "a Map"));\n    this.#enter(depth);',
    replace: 'this.#headOf(5, "a Map"));',
    catchers: [edges],
  },
  {
    id: "long-text-is-not-looked-at",
    hazards: [],
    bug: "a long text that is no UTF-8 is read, by each member as it can",
    file: "src/codec/value-scan.ts",
    find: "if (!isUtf8(",
    replace: "if (length < nativeFromBytes && !isUtf8(",
    catchers: [edges],
  },
  {
    id: "large-body-keeps-a-slab",
    hazards: [],
    bug: "a call that waits keeps far more alive than its own body",
    file: "src/codec/bytes.ts",
    find: "if (sizeBytes > this.#mostBytes) return -1;",
    replace: "if (sizeBytes > this.#slabBytes) return -1;",
    catchers: [values],
  },
  {
    id: "date-loses-a-millisecond",
    hazards: [],
    bug: "a date far from now comes back a millisecond earlier",
    file: "src/codec/value-forms.ts",
    find: "return Math.round((ms / 1000) * 1000) === ms;",
    replace: "return true;",
    catchers: [values],
  },
  {
    id: "key-at-the-end-of-a-slice",
    hazards: [],
    bug: "a large map that is read in slices loses the entry whose key ends a slice",
    file: "src/codec/value-unslice.ts",
    find: "let key: unknown = noKey;\n  return (items) => {",
    replace: "let key: unknown = noKey;\n  return (items) => {\n    key = noKey;",
    catchers: [unslice],
  },
  {
    id: "read-before-it-arrived",
    hazards: [55],
    bug: "a snapshot that is still coming in is read as if the rest of a slice were zeros",
    file: "src/codec/value-unslice.ts",
    find: "this.until(this.at + 2 * wholeWeight)",
    replace: "this.until(this.at + wholeWeight)",
    catchers: [unslice],
  },
  {
    id: "captured-deeper-than-it-is-read",
    hazards: [],
    bug: "a value that is nested too deep is taken into a snapshot that nobody can read",
    file: "src/codec/value-capture.ts",
    find: "captureAll([...map.values()], depth + 1)",
    replace: "captureAll([...map.values()], depth)",
    catchers: [edges],
  },
  {
    id: "no-room-at-the-end-of-a-piece",
    hazards: [],
    bug: "a snapshot with a rare number where a piece ends is never written",
    file: "src/codec/value-slices.ts",
    find: "if (!writer.fits(headRoom)) yield writer.take();\n  if (typeof",
    replace: "if (typeof",
    catchers: [edges],
  },
];

export const codec: readonly Mutant[] = [...frames, ...valuesOfUsers];
