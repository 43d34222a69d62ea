/**
 * What a socket reads, without the queue of a readable stream between (decision 37).
 *
 * `net.Socket` hands every chunk that it has read to its own `push`, the method by which a Readable is fed. Where nothing is queued
 * and the stream flows, the chunk would come out again at once, as `data`, after a walk through the stream's code and a tick
 * for the next read: more than a round of Raft takes of its own. So `push` is replaced by one that goes straight to the receiver.
 *
 * Everything else is left to the stream: the end, what came before it flowed, and all chunks if a Node of tomorrow
 * should not call `push` any more. They arrive as `data`, in order.
 */
import type { Readable } from "node:stream";

export function receiveChunks(stream: Readable, receive: (chunk: Buffer) => void): void {
  const queued = stream.push.bind(stream);
  stream.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    const flows = stream.readableFlowing === true && stream.readableLength === 0;
    if (chunk === null || !flows || stream.destroyed) return queued(chunk, encoding);
    receive(chunk);
    return true;
  };
  stream.on("data", receive);
}
