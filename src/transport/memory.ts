/** A network inside one process: for tests, simulation and groups that live in a single process. */
import { messageOf, RaftError } from "../errors.js";
import type { Clock, Connection, ConnectionHandlers, Listener, Transport } from "../ports.js";

export type MemoryNetworkOptions = {
  /** Delivers: nothing arrives within the call that sent it. */
  readonly clock: Pick<Clock, "soon">;
  /** `queuedBytes` above it arms `onDrain`. Default 4 MiB. */
  readonly highWaterBytes?: number | undefined;
  /** `onDrain` comes at or below it. Default 1 MiB. */
  readonly lowWaterBytes?: number | undefined;
};

type MemoryListener = {
  readonly address: string;
  readonly node: string;
  readonly accept: (connection: Connection) => ConnectionHandlers;
};

/**
 * Connects the transports that it hands out. Addresses are any strings; one that ends in `:0` gets a
 * free number. Nodes (transports) can be cut off from each other.
 *
 * @example
 * ```ts
 * const network = new MemoryNetwork({ clock: new VirtualClock() });
 * const foo = network.transport("foo");
 * const bar = network.transport("bar");
 * network.cut("foo", "bar"); // connections between them break, new ones fail
 * network.heal("foo", "bar");
 * ```
 */
export class MemoryNetwork {
  readonly clock: Pick<Clock, "soon">;
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  readonly #listeners = new Map<string, MemoryListener>();
  readonly #connections = new Set<MemoryConnection>();
  readonly #cuts = new Set<string>();
  #lastPort = 0;
  #lastNode = 0;

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.highWaterBytes = options.highWaterBytes ?? 4 * 1024 * 1024;
    this.lowWaterBytes = options.lowWaterBytes ?? 1024 * 1024;
  }

  /** The transport of one node; the name is for `cut` and for log lines. */
  transport(node = `node-${++this.#lastNode}`): Transport {
    return {
      listen: (address, accept) => this.#listen(node, address, accept),
      dial: (address, handlers) => this.#dial(node, address, handlers),
    };
  }

  /** Breaks the connections between two nodes and lets no new ones come up until `heal`. */
  cut(nodeA: string, nodeB: string): void {
    this.#cuts.add(pairKey(nodeA, nodeB));
    this.#breakAll((a, b) => pairKey(a, b) === pairKey(nodeA, nodeB));
  }

  heal(nodeA: string, nodeB: string): void {
    this.#cuts.delete(pairKey(nodeA, nodeB));
  }

  healAll(): void {
    this.#cuts.clear();
  }

  /** Breaks every connection of a node, once; new ones may come up at once. */
  disconnect(node: string): void {
    this.#breakAll((a, b) => a === node || b === node);
  }

  #breakAll(concerns: (nodeA: string, nodeB: string) => boolean): void {
    for (const connection of [...this.#connections]) {
      if (concerns(connection.node, connection.peerNode))
        connection.breakNow("the network was cut");
    }
  }

  #listen(
    node: string,
    address: string,
    accept: (connection: Connection) => ConnectionHandlers,
  ): Promise<Listener> {
    if (address === "") {
      return Promise.reject(new RaftError("invalidArgument", "listen: the address is empty"));
    }
    const resolved = address.endsWith(":0")
      ? `${address.slice(0, -1)}${++this.#lastPort}`
      : address;
    if (this.#listeners.has(resolved)) {
      return Promise.reject(
        new RaftError(
          "listenFailed",
          `listen: ${resolved} is in use; choose another address or close the other listener`,
        ),
      );
    }
    const listener: MemoryListener = { address: resolved, node, accept };
    this.#listeners.set(resolved, listener);
    return Promise.resolve({
      address: resolved,
      close: () => {
        if (this.#listeners.get(resolved) === listener) this.#listeners.delete(resolved);
        return Promise.resolve();
      },
    });
  }

  #dial(node: string, address: string, handlers: ConnectionHandlers): Connection {
    const dialled = new MemoryConnection(this, node, address);
    dialled.handlers = handlers;
    this.clock.soon(() => this.#connect(dialled, address));
    return dialled;
  }

  #connect(dialled: MemoryConnection, address: string): void {
    if (dialled.ended) return;
    const listener = this.#listeners.get(address);
    const refusal =
      listener === undefined
        ? "nobody listens there"
        : this.#cuts.has(pairKey(dialled.node, listener.node))
          ? "the network is cut"
          : null;
    if (listener === undefined || refusal !== null) {
      dialled.end(new RaftError("connectFailed", `${address} could not be reached: ${refusal}`));
      return;
    }
    const accepted = new MemoryConnection(this, listener.node, dialled.node);
    dialled.peer = accepted;
    accepted.peer = dialled;
    this.#connections.add(dialled).add(accepted);
    try {
      accepted.handlers = listener.accept(accepted);
    } catch {
      accepted.destroy("accept threw");
      return;
    }
    accepted.open();
    dialled.open();
  }

  /** @internal */
  forget(connection: MemoryConnection): void {
    this.#connections.delete(connection);
  }
}

function pairKey(a: string, b: string): string {
  return a < b ? `${a}\n${b}` : `${b}\n${a}`;
}

/** One end of a connection. */
class MemoryConnection implements Connection {
  readonly node: string;
  readonly remote: string;
  handlers: ConnectionHandlers | null = null;
  peer: MemoryConnection | null = null;
  queuedBytes = 0;
  /** Nothing is accepted or delivered any more; `onClose` is on its way or done. */
  ended = false;
  readonly #network: MemoryNetwork;
  #queue: Uint8Array[] = [];
  #opened = false;
  #closing = false;
  #flushing = false;
  #full = false;

  constructor(network: MemoryNetwork, node: string, remote: string) {
    this.#network = network;
    this.node = node;
    this.remote = remote;
  }

  get queuedPayloads(): number {
    return this.#queue.length;
  }

  get peerNode(): string {
    return this.peer?.node ?? "";
  }

  send(payload: Uint8Array): void {
    if (this.ended || this.#closing) return;
    this.#queue.push(payload);
    this.queuedBytes += payload.length;
    if (this.queuedBytes > this.#network.highWaterBytes) this.#full = true;
    this.#scheduleFlush();
  }

  close(): void {
    if (this.ended || this.#closing) return;
    this.#closing = true;
    if (this.#opened) this.#scheduleFlush();
    // Not connected yet, and nothing is owed to the other side.
    else if (this.#queue.length === 0) {
      this.peer?.end(null);
      this.end(null);
    }
  }

  destroy(reason: string): void {
    if (this.ended) return;
    this.peer?.end(new RaftError("closed", "the other side broke the connection"));
    this.end(new RaftError("closed", reason));
  }

  breakNow(why: string): void {
    this.end(new RaftError("closed", why));
  }

  open(): void {
    if (this.ended) return;
    this.#opened = true;
    if (!this.#closing) this.#guard("onOpen", (handlers) => handlers.onOpen());
    if (this.#queue.length > 0 || this.#closing) this.#scheduleFlush();
  }

  end(error: Error | null): void {
    if (this.ended) return;
    this.ended = true;
    this.#queue = [];
    this.queuedBytes = 0;
    this.#network.forget(this);
    this.#network.clock.soon(() => {
      try {
        this.handlers?.onClose(error);
      } catch {
        // The connection has ended already: there is nobody left whom the throw could concern.
      }
    });
  }

  /** One payload from the other side. */
  deliver(payload: Uint8Array): void {
    if (this.ended || this.#closing) return;
    this.#guard("onPayload", (handlers) => handlers.onPayload(payload));
  }

  /** A handler that throws ends this connection and nothing else. */
  #guard(name: string, call: (handlers: ConnectionHandlers) => void): void {
    if (this.handlers === null) return;
    try {
      call(this.handlers);
    } catch (error) {
      const why = messageOf(error);
      this.peer?.end(new RaftError("closed", "the other side broke the connection"));
      const code = error instanceof RaftError ? error.code : "internal";
      this.end(new RaftError(code, `${this.remote}: ${name} threw: ${why}`, { cause: error }));
    }
  }

  #scheduleFlush(): void {
    if (this.#flushing || !this.#opened) return;
    this.#flushing = true;
    this.#network.clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    const { peer } = this;
    const payloads = this.#queue;
    this.#queue = [];
    for (const payload of payloads) {
      if (this.ended || peer === null || peer.ended) break;
      this.queuedBytes -= payload.length;
      peer.deliver(payload);
    }
    if (this.ended) return;
    if (this.#full && this.queuedBytes <= this.#network.lowWaterBytes) {
      this.#full = false;
      if (!this.#closing) this.#guard("onDrain", (handlers) => handlers.onDrain());
    }
    // Again, since handlers were called meanwhile.
    if (!this.ended && this.#closing && this.#queue.length === 0) {
      peer?.end(null);
      this.end(null);
    }
  }
}
