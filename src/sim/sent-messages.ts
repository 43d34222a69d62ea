/** The messages between members, read from the frames in which they leave. */
import { decodeFrame, frameCodes } from "../codec/wire.js";
import type { MemberId, Message } from "../core/types.js";
import type { Connection } from "../ports.js";
import type { SimProcess } from "./process.js";
import type { Violate } from "./oracles.js";

export type Channel = { readonly group: string; readonly from: MemberId; readonly to: MemberId };

/** What one connection has opened, and what stands on it. */
type Opened = {
  readonly channels: Map<number, Channel>;
  readonly standing: Map<number, { readonly channel: Channel; readonly message: Message }>;
};

export type HearSent = (process: SimProcess, channel: Channel, message: Message) => void;

const { openPeer, peerMessage, peerStanding, peerRepeats } = frameCodes;
const codesThatMatter: ReadonlySet<number | undefined> = new Set([
  ...[openPeer, peerMessage, peerStanding, peerRepeats],
]);

export class SentMessages {
  readonly #hear: HearSent;
  readonly #violate: Violate;
  readonly #opened = new WeakMap<Connection, Opened>();

  constructor(hear: HearSent, violate: Violate) {
    this.#hear = hear;
    this.#violate = violate;
  }

  /** A payload is handed to the network. */
  sent(process: SimProcess, connection: Connection, payload: Uint8Array): void {
    if (!codesThatMatter.has(payload[0])) return;
    const { channels, standing } = this.#openedOn(connection);
    const frame = decodeFrame(payload);
    if (frame.type === "openPeer") {
      channels.set(frame.channel, frame);
    } else if (frame.type === "peerMessage") {
      const channel = channels.get(frame.channel);
      if (channel !== undefined) this.#hear(process, channel, frame.message);
    } else if (frame.type === "peerStanding") {
      const channel = channels.get(frame.channel);
      if (channel !== undefined) standing.set(frame.slot, { channel, message: frame.message });
    } else if (frame.type === "peerRepeats") {
      for (const slot of frame.slots) {
        const said = standing.get(slot);
        if (said === undefined) this.#violate(`slot ${slot} is repeated, and nothing stands there`);
        else this.#hear(process, said.channel, said.message);
      }
    }
  }

  #openedOn(connection: Connection): Opened {
    let opened = this.#opened.get(connection);
    if (opened === undefined) {
      opened = { channels: new Map(), standing: new Map() };
      this.#opened.set(connection, opened);
    }
    return opened;
  }
}
