/** The ceiling's client process: one connection, one frame a turn, callbacks by slot number. */
import { connect } from "node:net";
import { runClosedLoop, type LoadOptions } from "../load.js";
import { BatchWriter, readFrames } from "./stream.js";

type Start = { readonly address: string; readonly bodyBytes: number; readonly load: LoadOptions };

function run(start: Start): void {
  const [host, port] = start.address.split(":");
  const socket = connect({ host: host!, port: Number(port), noDelay: true });
  const writer = new BatchWriter(socket);
  const body = new Uint8Array(start.bodyBytes);
  const waiting = new Map<number, () => void>();
  let next = 0;
  let turn: number[] = [];
  const flush = (): void => {
    const requests = turn;
    turn = [];
    const frame = Buffer.allocUnsafe(4 + requests.length * (8 + body.length));
    frame.writeUInt32LE(requests.length, 0);
    let at = 4;
    for (const request of requests) {
      frame.writeUInt32LE(request, at);
      frame.writeUInt32LE(body.length, at + 4);
      frame.set(body, at + 8);
      at += 8 + body.length;
    }
    writer.send(frame);
  };
  readFrames(socket, (reply) => {
    for (let at = 0; at < reply.length; at += 8) {
      const request = reply.readUInt32LE(at);
      const done = waiting.get(request)!;
      waiting.delete(request);
      done();
    }
  });
  const issue = (done: () => void): void => {
    const request = next;
    next = (next + 1) >>> 0;
    waiting.set(request, done);
    if (turn.length === 0) process.nextTick(flush);
    turn.push(request);
  };
  void runClosedLoop(issue, start.load).then((result) => {
    socket.destroy();
    process.send?.({ type: "result", result });
  });
}

process.on("message", (message: Start & { type: string }) => {
  if (message.type === "start") run(message);
});
process.on("disconnect", () => process.exit(0));
process.send?.({ type: "ready", address: "" });
