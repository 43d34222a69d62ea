/**
 * What clients ask for, on its way into the members. A turn takes in so much of it, the rest waits for the
 * next. So a thousand commands at once keep peers and timers waiting for a part of them only, and while this
 * host works at one part its followers and clients work at the one before.
 */
import { utf8 } from "../codec/bytes.js";
import type { ClientRequest } from "../codec/types.js";
import type { HostLimits } from "./limits.js";
import type { TurnFlusher } from "./turns.js";

/** Whose requests they are. */
export interface Requester {
  take(request: ClientRequest): void;
  reply(request: number, status: string, applied: "no", index: number, body: Uint8Array): void;
}

/** Gives the turns. */
export interface TurnGiver {
  atStart(input: TurnFlusher): void;
}

export type IntakeLimits = Pick<
  HostLimits,
  "maxRequestsPerTurn" | "maxRequestBytesPerTurn" | "maxInboxBytes"
>;

/** Requests of one frame, of which those before `next` were taken in. */
type Waiting = {
  readonly from: Requester;
  readonly requests: readonly ClientRequest[];
  next: number;
  /** Of the whole frame: as long as one of its requests waits, all of it is kept. */
  readonly frameBytes: number;
};

export class Intake implements TurnFlusher {
  readonly #turns: TurnGiver;
  readonly #limits: IntakeLimits;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** Taken in since the last turn began. */
  #taken = 0;
  #takenBytes = 0;
  #asked = false;

  constructor(turns: TurnGiver, limits: IntakeLimits) {
    this.#turns = turns;
    this.#limits = limits;
  }

  /** The requests of a frame of `frameBytes` bytes. Nobody overtakes anybody. */
  offer(from: Requester, requests: readonly ClientRequest[], frameBytes: number): void {
    const frame: Waiting = { from, requests, next: 0, frameBytes };
    if (this.#waiting.length === 0) this.#take(frame);
    if (frame.next < requests.length) this.#keep(frame);
    this.#ask();
  }

  /** At the start of a turn, which deals with everything that was taken in before and is taken in now. */
  flushTurn(): void {
    this.#asked = false;
    let done = 0;
    try {
      for (const frame of this.#waiting) {
        this.#take(frame);
        if (frame.next < frame.requests.length) break;
        done += 1;
      }
    } finally {
      // Also when a request throws: the others are still to be taken in.
      for (const { frameBytes } of this.#waiting.splice(0, done)) this.#waitingBytes -= frameBytes;
      this.#taken = 0;
      this.#takenBytes = 0;
      if (this.#waiting.length > 0) this.#ask();
    }
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#turns.atStart(this);
  }

  #take(frame: Waiting): void {
    const { from, requests } = frame;
    const { maxRequestsPerTurn, maxRequestBytesPerTurn } = this.#limits;
    while (
      frame.next < requests.length &&
      this.#taken < maxRequestsPerTurn &&
      this.#takenBytes < maxRequestBytesPerTurn
    ) {
      const request = requests[frame.next++]!;
      this.#taken += 1;
      if (request.type !== "register") this.#takenBytes += request.body.length;
      from.take(request);
    }
  }

  #keep(frame: Waiting): void {
    const { from, requests, frameBytes } = frame;
    const { maxInboxBytes } = this.#limits;
    if (this.#waitingBytes + frameBytes <= maxInboxBytes) {
      this.#waitingBytes += frameBytes;
      this.#waiting.push(frame);
      return;
    }
    const why = `requests of ${this.#waitingBytes} bytes wait on this host (maxInboxBytes)`;
    refuseAll(from, requests.slice(frame.next), why);
  }
}

/** Says `overloaded` to each of them, but for the ends of subscriptions: nobody asks for those again. */
export function refuseAll(from: Requester, requests: readonly ClientRequest[], why: string): void {
  const body = utf8(why);
  for (const request of requests) {
    if (request.type === "admin" && request.verb === "unsubscribe") from.take(request);
    else from.reply(request.request, "overloaded", "no", 0, body);
  }
}
