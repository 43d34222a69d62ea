/** One end of a simulated connection. */
import { frameCodes } from "../codec/wire.js";
import { messageOf, RaftError } from "../errors.js";
import type { Connection, ConnectionHandlers } from "../ports.js";
import type { SimNetwork } from "./network.js";
import type { SimProcess } from "./process.js";
import { showPayload } from "./show-frame.js";
import { between } from "./world.js";

/** Of the frames that bring messages from member to member. */
const messageCodes: ReadonlySet<number | undefined> = new Set([
  ...[frameCodes.peerMessage, frameCodes.peerRepeats],
]);

type Batch = { payloads: Uint8Array[]; bytes: number; departed: boolean; end: boolean };

export class SimConnection implements Connection {
  readonly process: SimProcess;
  readonly machine: string;
  readonly remote: string;
  /** Our end is over; `onClose` is on its way or done. */
  ended = false;
  queuedBytes = 0;
  readonly #network: SimNetwork;
  #handlers: ConnectionHandlers | null;
  #peer: SimConnection | null = null;
  #opened = false;
  #closing = false;
  #full = false;
  /** What this end sends within one moment travels together. */
  #gathering: Batch | null = null;
  /** Not to be overtaken: nothing of this direction arrives before. */
  #lastArrivalMs = 0;
  /** Waits on a link that is cut. */
  #stalled: Batch[] = [];

  constructor(
    network: SimNetwork,
    process: SimProcess,
    remote: string,
    handlers: ConnectionHandlers | null,
  ) {
    this.#network = network;
    this.process = process;
    this.machine = process.machine;
    this.remote = remote;
    this.#handlers = handlers;
    process.onDeath.push(this.#onDeath);
  }

  get peerMachine(): string {
    return this.#peer?.machine ?? "";
  }

  /** Joins two ends; each is told with `open` when its process takes notice. */
  pair(accepted: SimConnection): void {
    this.#peer = accepted;
    accepted.#peer = this;
    this.#network.opened(this);
    this.#network.opened(accepted);
  }

  open(handlers: ConnectionHandlers | null): void {
    // Also of one that was broken off while it was accepted: its handlers hear of the end.
    this.#handlers ??= handlers;
    if (this.ended) return;
    this.#opened = true;
    // Closed before it was open: what is queued still leaves, but nobody asks any more.
    if (!this.#closing) this.#call("onOpen", () => this.#handlers!.onOpen());
    if (this.#gathering !== null) this.#schedule();
  }

  send(payload: Uint8Array): void {
    if (this.ended || this.#closing) return;
    this.#network.onSend?.(this.process, this, payload);
    this.#gather().payloads.push(payload);
    this.#gathering!.bytes += payload.length;
    this.queuedBytes += payload.length;
    if (this.queuedBytes > this.#network.highWaterBytes) this.#full = true;
  }

  close(): void {
    if (this.ended || this.#closing) return;
    this.#closing = true;
    if (this.#peer === null && this.#gathering === null) return this.end(null);
    this.#gather().end = true;
  }

  destroy(reason: string): void {
    if (this.ended) return;
    const peer = this.#peer;
    this.end(new RaftError("closed", reason));
    if (peer !== null) this.#sendReset(peer);
  }

  /** Both ends lose the connection, each after a while of its own: until then it is half open. */
  breakBoth(why: string): void {
    const peer = this.#peer;
    const { world, random } = this.#network;
    const error = new RaftError("closed", why);
    this.#stalled = [];
    world.after(between(random, 0, 100), () => this.end(error));
    if (peer !== null) {
      // From now on nothing gets through, whoever has noticed.
      peer.#stalled = [];
      world.after(between(random, 0, 100), () => peer.end(error));
      peer.#peer = null;
    }
    this.#peer = null;
  }

  end(error: Error | null): void {
    if (this.ended) return;
    this.ended = true;
    this.#stalled = [];
    this.#gathering = null;
    this.queuedBytes = 0;
    this.#network.forget(this);
    const deaths = this.process.onDeath;
    const at = deaths.indexOf(this.#onDeath);
    if (at >= 0) deaths.splice(at, 1);
    this.#network.world.after(0, () =>
      this.process.run("network", error === null ? "closed" : "broken", () =>
        this.#handlers?.onClose(error),
      ),
    );
  }

  /** The link is whole again: what stalled goes on. */
  release(): void {
    const stalled = this.#stalled;
    this.#stalled = [];
    for (const batch of stalled) this.#travel(batch);
  }

  readonly #onDeath = (): void => {
    const peer = this.#peer;
    this.ended = true;
    this.#network.forget(this);
    if (peer !== null) this.#sendReset(peer);
  };

  /** The other side's kernel says that nobody is there any more; over a cut link it cannot. */
  #sendReset(peer: SimConnection): void {
    const { world, random } = this.#network;
    const tryReset = (): void => {
      if (peer.ended) return;
      if (this.#network.isCut(this.machine, peer.machine)) {
        world.after(between(random, 500, 5000), tryReset);
      } else peer.end(new RaftError("closed", "the other side broke the connection"));
    };
    world.after(this.#network.delayMs(), tryReset);
  }

  #gather(): Batch {
    if (this.#gathering === null) {
      this.#gathering = { payloads: [], bytes: 0, departed: false, end: false };
      if (this.#opened) this.#schedule();
    }
    return this.#gathering;
  }

  #schedule(): void {
    const batch = this.#gathering!;
    if (batch.departed) return;
    batch.departed = true;
    // The moment is over when everything else of this turn was said.
    this.#network.world.after(0, () => {
      if (this.#gathering === batch) this.#gathering = null;
      if (!this.ended) this.#depart(batch);
    });
  }

  #depart(batch: Batch): void {
    const { settings } = this.#network;
    const faulty = settings.dropRate + settings.duplicateRate + settings.reorderRate > 0;
    if (!faulty) return this.#travel(batch);
    const straight: Uint8Array[] = [];
    for (const payload of batch.payloads) {
      if (messageCodes.has(payload[0])) this.#misfortune(payload, straight);
      else straight.push(payload);
    }
    this.#travel({ ...batch, payloads: straight });
  }

  /** Beyond TCP: a message between members is lost, comes twice, or comes late. */
  #misfortune(payload: Uint8Array, straight: Uint8Array[]): void {
    const { settings, random, world } = this.#network;
    if (random.next() < settings.dropRate) {
      world.countFault("drop message");
      return;
    }
    if (random.next() < settings.duplicateRate) {
      world.countFault("duplicate message");
      this.#straggle(payload);
    }
    if (random.next() < settings.reorderRate) {
      world.countFault("reorder message");
      this.#straggle(payload);
    } else straight.push(payload);
  }

  #straggle(payload: Uint8Array): void {
    const { world, random, settings } = this.#network;
    const batch: Batch = { payloads: [payload], bytes: 0, departed: true, end: false };
    world.after(between(random, 0, 10 * settings.maxDelayMs + 20), () => this.#arrive(batch));
  }

  #travel(batch: Batch): void {
    const { world } = this.#network;
    const atMs = Math.max(world.nowMs() + this.#network.delayMs(), this.#lastArrivalMs);
    this.#lastArrivalMs = atMs;
    world.after(atMs - world.nowMs(), () => this.#arrive(batch));
  }

  #arrive(batch: Batch): void {
    const peer = this.#peer;
    if (peer === null || this.#network.isCut(this.machine, peer.machine)) {
      if (peer !== null && !this.ended) this.#stall(batch);
      return;
    }
    // Behind a batch that stalled nothing may pass.
    if (this.#stalled.length > 0) return void this.#stalled.push(batch);
    peer.process.run(
      "network",
      `from ${this.process.name}`,
      () => peer.#receive(batch, this),
      batch.payloads,
    );
  }

  #stall(batch: Batch): void {
    const { world, random } = this.#network;
    this.#stalled.push(batch);
    if (this.#stalled.length > 1) return;
    // Unanswered for long enough, the sender's kernel gives the connection up.
    world.after(between(random, 4000, 20_000), () => {
      if (this.#stalled[0] === batch) this.end(new RaftError("closed", "connection timed out"));
    });
  }

  #receive(batch: Batch, from: SimConnection): void {
    from.#delivered(batch.bytes);
    const { trace } = this.#network.world;
    if (trace.verbose) {
      const nowMs = this.#network.world.nowMs();
      for (const payload of batch.payloads) {
        trace.note(nowMs, "", () => `  ${from.process.name} says ${showPayload(payload)}`);
      }
    }
    for (const payload of batch.payloads) {
      if (this.ended || this.#closing) return;
      this.#call("onPayload", () => this.#handlers?.onPayload(payload));
    }
    if (batch.end && !this.ended) {
      from.end(null);
      this.end(null);
    }
  }

  #call(handler: string, call: () => void): void {
    try {
      call();
    } catch (cause) {
      this.broken(handler, cause);
    }
  }

  /** As every transport does: a handler that throws ends its connection. A defect ends the run. */
  broken(handler: string, cause: unknown): void {
    const peer = this.#peer;
    const why = messageOf(cause);
    const code = cause instanceof RaftError ? cause.code : "internal";
    if (code === "internal") {
      this.#network.world.fail(
        new Error(`${this.process.name}: ${handler} threw ${why}`, { cause }),
      );
    }
    this.end(new RaftError(code, `${handler} threw: ${why}`, { cause }));
    if (peer !== null) this.#sendReset(peer);
  }

  #delivered(bytes: number): void {
    if (this.ended) return;
    this.queuedBytes = Math.max(0, this.queuedBytes - bytes);
    if (!this.#full || this.queuedBytes > this.#network.lowWaterBytes) return;
    this.#full = false;
    this.#network.world.after(0, () =>
      this.process.run("network", "drain", () => {
        if (!this.ended) this.#call("onDrain", () => this.#handlers?.onDrain());
      }),
    );
  }
}
