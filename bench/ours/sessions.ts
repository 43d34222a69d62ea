/** Sessions as clients leave them behind, many over one connection: registered, one command applied. */
import { createCborCodec, createTcpTransport } from "../package.js";
import type { ClientReply, ClientRequest, Frame } from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import { encodeCommandBody } from "../../src/value/body.js";
import { counter } from "./values.js";

const atATime = 1000;
const channel = 1;

/** `address` is the leader's; the group is `bench` with the counter as its value. */
export function leaveSessions(address: string, count: number): Promise<void> {
  const body = encodeCommandBody(counter, createCborCodec(), "inc", true, 1, null);
  const { name, version, compatibleVersions } = counter;
  return new Promise((resolve, reject) => {
    let begun = 0;
    let finished = 0;
    /** Registrations have odd numbers; a command has the next one. */
    const register = (): ClientRequest => {
      begun += 1;
      return { type: "register", request: 2 * begun - 1, nonce: begun };
    };
    const next = (reply: ClientReply): ClientRequest | null => {
      if (reply.status !== "ok") throw new Error(`a session was refused: ${reply.status}`);
      if (reply.request % 2 === 1) {
        const of = { request: reply.request + 1, session: reply.index, sequence: 1 };
        return { type: "command", ...of, lowestOutstanding: 1, body };
      }
      finished += 1;
      return begun < count ? register() : null;
    };
    const ask = (requests: readonly ClientRequest[]): void =>
      send({ type: "requests", channel, requests });
    const receive = (frame: Frame): void => {
      if (frame.type === "channelOpened") {
        ask(Array.from({ length: Math.min(atATime, count) }, register));
      } else if (frame.type === "replies") {
        const requests = frame.replies.map(next).filter((request) => request !== null);
        if (requests.length > 0) ask(requests);
        if (finished === count) connection.close();
      }
    };
    const connection = createTcpTransport().dial(address, {
      onOpen: () => undefined,
      onPayload: (payload) => receive(decodeFrame(payload)),
      onDrain: () => undefined,
      onClose: (error) => (error === null ? resolve() : reject(error)),
    });
    const send = (frame: Frame): void => connection.send(encodeFrame(frame));
    send({ type: "hello", protocol: protocolVersion, kind: "client", from: "bench" });
    const named = { valueName: name, valueVersion: version, compatibleVersions };
    send({ type: "openClient", channel, group: "bench", ...named });
  });
}
