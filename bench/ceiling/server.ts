/**
 * The ceiling: what three Node processes can do without consensus. The leader relays each turn's
 * commands to two followers as one opaque batch, waits for one of them (and for its own disk), and
 * answers. No terms, no log, no elections, no checksums, no value: anyone may make it faster.
 *
 * Started with `--followers ADDR,ADDR` it leads; without, it follows. Prints its port.
 */
import { closeSync, fdatasync, fdatasyncSync, openSync, write, writeSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { BatchWriter, readFrames } from "./stream.js";

/** One append-only file, preallocated; one write and one fdatasync for all that gathered meanwhile. */
class GroupCommit {
  readonly #fd: number;
  #at = 0;
  #waiting: { bytes: Uint8Array; done: () => void }[] = [];
  #busy = false;
  syncs = 0;

  constructor(path: string) {
    this.#fd = openSync(path, "w+");
    const zeros = new Uint8Array(1024 * 1024);
    for (let i = 0; i < preallocatedMiB; i++) writeSync(this.#fd, zeros);
    fdatasyncSync(this.#fd);
    process.on("exit", () => closeSync(this.#fd));
  }

  append(bytes: Uint8Array, done: () => void): void {
    this.#waiting.push({ bytes, done });
    if (!this.#busy) setImmediate(() => this.#commit());
  }

  #commit(): void {
    if (this.#busy || this.#waiting.length === 0) return;
    this.#busy = true;
    const batch = this.#waiting;
    this.#waiting = [];
    const bytes = Buffer.concat(batch.map((one) => one.bytes));
    if (this.#at + bytes.length > preallocatedMiB * 1024 * 1024) this.#at = 0;
    const at = this.#at;
    this.#at += bytes.length;
    write(this.#fd, bytes, 0, bytes.length, at, (failed) => {
      if (failed !== null) throw failed;
      fdatasync(this.#fd, (error) => {
        if (error !== null) throw error;
        this.syncs += 1;
        this.#busy = false;
        for (const one of batch) one.done();
        this.#commit();
      });
    });
  }
}

const preallocatedMiB = 256;
const noDisk = { append: (_bytes: Uint8Array, done: () => void) => done() };

function follow(disk: Pick<GroupCommit, "append">, socket: Socket): void {
  const writer = new BatchWriter(socket);
  readFrames(socket, (batch) => {
    disk.append(batch, () => writer.send(batch.subarray(0, 4)));
  });
}

/** Frames of clients are u32 count, then (u32 request, u32 length, body) each. */
function lead(disk: Pick<GroupCommit, "append">, followers: readonly string[]) {
  type Batch = { acks: number; replies: { writer: BatchWriter; requests: Uint8Array }[] };
  const batches = new Map<number, Batch>();
  const peers: BatchWriter[] = [];
  let number = 0;
  let gathered: { writer: BatchWriter; frame: Uint8Array }[] = [];

  const acknowledge = (which: number): void => {
    const batch = batches.get(which);
    if (batch === undefined || (batch.acks += 1) < 2) return;
    batches.delete(which);
    for (const { writer, requests } of batch.replies) writer.send(requests);
  };
  const replicate = (): void => {
    const frames = gathered;
    gathered = [];
    const which = number++ & 0x7fffffff;
    const header = Buffer.alloc(4);
    header.writeUInt32LE(which);
    const replies = frames.map(({ writer, frame }) => ({ writer, requests: requestsOf(frame) }));
    const bytes = Buffer.concat([header, ...frames.map((one) => one.frame)]);
    batches.set(which, { acks: 0, replies });
    for (const peer of peers) peer.send(bytes);
    disk.append(bytes, () => acknowledge(which));
  };
  for (const address of followers) {
    const [host, port] = address.split(":");
    const socket = connect({ host: host!, port: Number(port), noDelay: true });
    peers.push(new BatchWriter(socket));
    readFrames(socket, (ack) => acknowledge(ack.readUInt32LE(0)));
  }
  return (socket: Socket): void => {
    const writer = new BatchWriter(socket);
    readFrames(socket, (frame) => {
      if (gathered.length === 0) setImmediate(replicate);
      gathered.push({ writer, frame });
    });
  };
}

/** The reply to a frame: its requests' numbers, 8 bytes each with a result of 4. */
function requestsOf(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const count = view.getUint32(0, true);
  const reply = new DataView(new ArrayBuffer(count * 8));
  let at = 4;
  for (let i = 0; i < count; i++) {
    reply.setUint32(i * 8, view.getUint32(at, true), true);
    reply.setUint32(i * 8 + 4, i, true);
    at += 8 + view.getUint32(at + 4, true);
  }
  return new Uint8Array(reply.buffer);
}

const args = process.argv.slice(2);
const option = (name: string): string | null => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? null : args[at + 1]!;
};
const dir = option("data");
const disk = dir === null ? noDisk : new GroupCommit(join(dir, `ceiling-${process.pid}.log`));
const followers = option("followers");
const accept = followers === null ? follow.bind(null, disk) : lead(disk, followers.split(","));
const server = createServer({ noDelay: true }, accept);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.send?.({
    type: "ready",
    address: typeof address === "object" ? `127.0.0.1:${address?.port}` : "",
  });
});
process.on("disconnect", () => process.exit(0));
