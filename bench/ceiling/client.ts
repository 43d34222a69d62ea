/**
 * The ceiling's client process: one connection, one frame for the calls of a turn, and a promise for
 * each call, as a library's user gets.
 */
import { connect } from "node:net";
import { serveLoads } from "../load-process.js";
import { newFrame, readFrames } from "./stream.js";

type Target = { readonly address: string; readonly bodyBytes: number };

function dial(target: Target): () => Promise<number> {
  const [host, port] = target.address.split(":");
  const socket = connect({ host: host!, port: Number(port), noDelay: true });
  const body = Buffer.alloc(target.bodyBytes);
  const waiting = new Map<number, (result: number) => void>();
  let next = 0;
  let turn: number[] = [];
  const flush = (): void => {
    const requests = turn;
    turn = [];
    const frame = newFrame(requests.length * (8 + body.length));
    let at = 4;
    for (const request of requests) {
      frame.writeUInt32LE(request, at);
      frame.writeUInt32LE(body.length, at + 4);
      frame.set(body, at + 8);
      at += 8 + body.length;
    }
    socket.write(frame);
  };
  readFrames(socket, (replies) => {
    for (let at = 0; at < replies.length; at += 8) {
      const request = replies.readUInt32LE(at);
      const resolve = waiting.get(request)!;
      waiting.delete(request);
      resolve(replies.readUInt32LE(at + 4));
    }
  });
  return () =>
    new Promise((resolve) => {
      const request = next;
      next = (next + 1) >>> 0;
      waiting.set(request, resolve);
      if (turn.length === 0) process.nextTick(flush);
      turn.push(request);
    });
}

serveLoads((target: Target) => {
  const call = dial(target);
  return Promise.resolve(() => call);
});
