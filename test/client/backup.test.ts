/** How a backup is read, with members that go away or give something else than they said. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BackupSink, takeBackup } from "../../src/client/backup.js";
import type { AdminCalls, AdminOptions } from "../../src/client/client.js";
import type { GroupStatus } from "../../src/client/types.js";
import { crc32 } from "../../src/codec/crc32.js";
import type { ReadSnapshot, SnapshotPiece } from "../../src/codec/types.js";
import type { SnapshotMeta } from "../../src/core/types.js";
import { RaftError } from "../../src/errors.js";

const data = Uint8Array.from({ length: 1_200_000 }, (_, at) => at % 251);
const meta = { index: 9, sizeBytes: data.length, checksum: crc32(data) } as SnapshotMeta;

type Answer = (host: string, verb: string, body: unknown) => unknown;

/** Members that answer as `answer` says, or as they should where it gives undefined. */
function members(answer: Answer): { readonly client: AdminCalls; readonly asked: string[] } {
  const asked: string[] = [];
  const admin = async (verb: string, body: unknown, options?: AdminOptions): Promise<unknown> => {
    const host = options!.host!;
    asked.push(`${host} ${verb}`);
    await Promise.resolve();
    const given = answer(host, verb, body);
    if (given instanceof Error) throw given;
    return given ?? asItShould(host, verb, body);
  };
  return { client: { admin } as AdminCalls, asked };
}

function asItShould(host: string, verb: string, body: unknown): unknown {
  if (verb === "status") return { id: host } as GroupStatus;
  if (verb === "snapshot") return { index: meta.index, sizeBytes: meta.sizeBytes };
  if (verb !== "readSnapshot") return null;
  const { offset, maxBytes } = body as ReadSnapshot;
  const piece: SnapshotPiece = { snapshot: meta, data: data.subarray(offset, offset + maxBytes) };
  return piece;
}

type Book = { readonly events: string[]; readonly pieces: Uint8Array[] };

/** A sink that keeps what it got since it was begun last. */
function bookSink({ events, pieces }: Book): (status: GroupStatus) => Promise<BackupSink> {
  return (status) => {
    events.push(`begin ${status.id}`);
    pieces.length = 0;
    return Promise.resolve({
      append: async (piece) => void pieces.push(await Promise.resolve(piece)),
      finish: async () => void events.push(await Promise.resolve("finish")),
      abort: async () => void events.push(await Promise.resolve("abort")),
    });
  };
}

function run(answer: Answer, hosts: readonly string[] = ["a", "b"]) {
  const book: Book = { events: [], pieces: [] };
  const { client, asked } = members(answer);
  const taken = takeBackup({ client, hosts, timeoutMs: 1000, signal: null }, bookSink(book));
  return { taken, asked, ...book };
}

test("one member is made to know all that was acknowledged, then its snapshot is read to the end", async () => {
  const { taken, asked, events, pieces } = run(() => undefined);
  assert.equal((await taken).meta, meta);
  assert.deepEqual(events, ["begin a", "finish"]);
  assert.equal(Buffer.compare(Buffer.concat(pieces), data), 0);
  assert.deepEqual(
    asked.filter((line) => !line.endsWith("status")),
    ["a barrier", "a snapshot", "a readSnapshot", "a readSnapshot", "a readSnapshot"],
  );
});

test("a member that goes away in the middle is left for another one, which is read from the start", async () => {
  const gone = new RaftError("unavailable", "gone");
  const { taken, events, pieces } = run((host, verb, body) =>
    host === "a" && verb === "readSnapshot" && (body as ReadSnapshot).offset > 0 ? gone : undefined,
  );
  assert.equal((await taken).status.id, "b");
  assert.deepEqual(events, ["begin a", "abort", "begin b", "finish"]);
  assert.equal(Buffer.compare(Buffer.concat(pieces), data), 0);
});

test("a snapshot that is replaced while it is read is taken anew, but not for ever", async () => {
  let replaced = 0;
  const twice = run(
    (_host, verb) => {
      if (verb !== "readSnapshot" || replaced >= 2) return undefined;
      replaced += 1;
      return { snapshot: null, data: null };
    },
    ["a"],
  );
  await twice.taken;
  assert.deepEqual(twice.events, ["begin a", "abort", "begin a", "abort", "begin a", "finish"]);
  const { taken, events } = run(
    (_host, verb) => (verb === "readSnapshot" ? { snapshot: meta, data: null } : undefined),
    ["a"],
  );
  await assert.rejects(
    taken,
    (error) => error instanceof RaftError && error.code === "unavailable",
  );
  assert.equal(events.filter((event) => event === "abort").length, 3);
});

test("bytes that do not match the snapshot's checksum are no backup", async () => {
  const { taken, events } = run((_host, verb, body) => {
    if (verb !== "readSnapshot" || (body as ReadSnapshot).offset === 0) return undefined;
    return { snapshot: null, data: new Uint8Array(data.length) };
  });
  await assert.rejects(
    taken,
    (error) => error instanceof RaftError && error.code === "storageCorrupt",
  );
  assert.deepEqual(events, ["begin a", "abort"]);
});

test("when nobody answers, the first of the hosts says why", async () => {
  const { taken, events } = run((host) => new RaftError("timeout", `${host} is silent`));
  await assert.rejects(
    taken,
    (error) => error instanceof RaftError && error.message === "a is silent",
  );
  assert.deepEqual(events, []);
});

/** A client of whom `silent` hosts never get an answer, and the signals that it was given. */
function partlySilent(silent: readonly string[]): {
  readonly client: AdminCalls;
  readonly signals: Map<string, AbortSignal>;
} {
  const signals = new Map<string, AbortSignal>();
  const admin = (verb: string, body: unknown, options?: AdminOptions): Promise<unknown> => {
    const { host, signal } = options!;
    if (!silent.includes(host!)) return Promise.resolve(asItShould(host!, verb, body));
    signals.set(host!, signal!);
    return new Promise((_, reject) => {
      signal!.addEventListener("abort", () => reject(new RaftError("aborted", "given up")));
    });
  };
  return { client: { admin } as AdminCalls, signals };
}

test("who does not answer is not waited for once another one did", async () => {
  const { client, signals } = partlySilent(["a"]);
  const book: Book = { events: [], pieces: [] };
  const calls = { client, hosts: ["a", "b"], timeoutMs: 1000, signal: null };
  assert.equal((await takeBackup(calls, bookSink(book))).status.id, "b");
  assert.equal(signals.get("a")!.aborted, true);
});

test("a caller who gives up while nobody answers is answered, and nobody is asked any longer", async () => {
  const { client, signals } = partlySilent(["a", "b"]);
  const caller = new AbortController();
  const calls = { client, hosts: ["a", "b"], timeoutMs: 1000, signal: caller.signal };
  const taken = takeBackup(calls, bookSink({ events: [], pieces: [] }));
  caller.abort("enough");
  await assert.rejects(taken, { code: "aborted" });
  for (const host of ["a", "b"]) assert.equal(signals.get(host)!.reason, "enough");
});
