/**
 * A connection within the process, for the group handle: the same frames without a socket, and
 * encoded all the same, so that what a caller gives and gets aliases nothing.
 *
 * What the caller sends is taken in at the start of the host's next turn, what the host sends
 * reaches the caller at the end of the turn that made it.
 */
import type { Connection, ConnectionHandlers } from "../ports.js";
import type { TurnFlusher, Turns } from "./turns.js";

class LocalEnd implements Connection, TurnFlusher {
  readonly remote: string;
  queuedBytes = 0;
  handlers: ConnectionHandlers | null = null;
  other: LocalEnd | null = null;
  #payloads: Uint8Array[] = [];
  #opened = false;
  #closing = false;
  #ended = false;
  #wanted = false;
  readonly #wantTurn: (end: LocalEnd) => void;

  /** `wantTurn`: deliver what was sent from here when it is time. */
  constructor(remote: string, wantTurn: (end: LocalEnd) => void) {
    this.remote = remote;
    this.#wantTurn = wantTurn;
  }

  get queuedPayloads(): number {
    return this.#payloads.length;
  }

  send(payload: Uint8Array): void {
    if (this.#closing || this.#ended) return;
    this.#payloads.push(payload);
    this.queuedBytes += payload.length;
    this.want();
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.want();
  }

  destroy(): void {
    this.#payloads = [];
    this.queuedBytes = 0;
    this.close();
  }

  want(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#wantTurn(this);
  }

  flushTurn(): void {
    this.#wanted = false;
    if (this.#ended) return;
    const other = this.other!;
    if (!this.#opened) {
      this.#opened = true;
      other.handlers?.onOpen();
    }
    const payloads = this.#payloads;
    this.#payloads = [];
    this.queuedBytes = 0;
    for (const payload of payloads) {
      if (other.#ended || other.#closing) break;
      try {
        other.handlers?.onPayload(payload);
      } catch (error) {
        // What follows it is lost: who waits for an answer has to hear that there will be none.
        other.destroy();
        throw error;
      }
    }
    if (!this.#closing) return;
    this.#ended = true;
    this.handlers?.onClose(null);
    if (other.#ended) return;
    other.#ended = true;
    other.handlers?.onClose(null);
  }
}

/** The caller's end; `accept` gets the host's. */
export function dialLocal(
  turns: Turns,
  accept: (connection: Connection) => ConnectionHandlers,
  handlers: ConnectionHandlers,
): Connection {
  const caller = new LocalEnd("this process", (end) => turns.atStart(end));
  const host = new LocalEnd("this process", (end) => turns.afterEnd(end));
  caller.other = host;
  host.other = caller;
  caller.handlers = handlers;
  host.handlers = accept(host);
  // Both sides hear `onOpen`, also when neither has anything to say.
  caller.want();
  host.want();
  return caller;
}
