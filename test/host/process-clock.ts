/** A clock of one process among several that share a virtual one: it can stand still, as by SIGSTOP. */
import type {
  Clock,
  Connection,
  ConnectionHandlers,
  TimerHandle,
  Transport,
} from "../../src/ports.js";

/** In the order in which a process that was stopped finds them when it goes on. */
type Kind = "timer" | "payload" | "soon";
const kinds: readonly Kind[] = ["timer", "payload", "soon"];

export class ProcessClock implements Clock {
  readonly #base: Clock;
  #held: { readonly kind: Kind; readonly callback: () => void }[] = [];
  stopped = false;

  constructor(base: Clock) {
    this.#base = base;
  }

  nowMs(): number {
    return this.#base.nowMs();
  }

  wallMs(): number {
    return this.#base.wallMs();
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    let cancelled = false;
    const handle = this.#base.after(delayMs, () => {
      this.run("timer", () => {
        if (!cancelled) callback();
      });
    });
    return {
      cancel(): void {
        cancelled = true;
        handle.cancel();
      },
    };
  }

  soon(callback: () => void): void {
    this.#base.soon(() => this.run("soon", callback));
  }

  run(kind: Kind, callback: () => void): void {
    if (this.stopped) this.#held.push({ kind, callback });
    else callback();
  }

  freeze(): void {
    this.stopped = true;
  }

  /** Goes on: timers that ran out come first, then what waits in the sockets. */
  thaw(): void {
    if (!this.stopped) return;
    this.stopped = false;
    const held = this.#held;
    this.#held = [];
    for (const kind of kinds) {
      for (const each of held) if (each.kind === kind) this.run(kind, each.callback);
    }
  }
}

/** A transport whose callbacks wait while its process stands still. */
export function processTransport(clock: ProcessClock, transport: Transport): Transport {
  const wrap = (handlers: ConnectionHandlers): ConnectionHandlers => ({
    onOpen: () => clock.run("payload", () => handlers.onOpen()),
    onPayload: (payload) => clock.run("payload", () => handlers.onPayload(payload)),
    onDrain: () => clock.run("payload", () => handlers.onDrain()),
    onClose: (error) => clock.run("payload", () => handlers.onClose(error)),
  });
  return {
    listen: (address, accept) =>
      transport.listen(address, (connection: Connection) => wrap(accept(connection))),
    dial: (address, handlers) => transport.dial(address, wrap(handlers)),
  };
}
