/** All connections that others have opened to this host. */
import { encodeFrame } from "../codec/wire.js";
import type { MemberId } from "../core/types.js";
import type { Connection, ConnectionHandlers } from "../ports.js";
import { AcceptedConnection } from "./accepted.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

export class AcceptedConnections {
  readonly #context: HostContext;
  /** Those that are served, and those whose last bytes are still on their way. */
  readonly #serving = new Set<AcceptedConnection>();
  readonly #open = new Set<Connection>();
  #closed = false;
  #onEmpty: (() => void) | null = null;

  constructor(context: HostContext) {
    this.#context = context;
  }

  accept(connection: Connection): ConnectionHandlers {
    this.#open.add(connection);
    const refusal = this.#refusal();
    if (refusal !== null) return this.#refuse(connection, refusal);
    const accepted = new AcceptedConnection(this.#context, connection, () => {
      this.#serving.delete(accepted);
    });
    this.#serving.add(accepted);
    return {
      onOpen: () => accepted.onOpen(),
      onPayload: (payload) => accepted.onPayload(payload),
      onDrain: () => accepted.onDrain(),
      onClose: (error) => {
        accepted.onClose(error);
        this.#gone(connection);
      },
    };
  }

  #refusal(): string | null {
    const { id, limits } = this.#context;
    if (this.#closed) return `host ${id} is closing`;
    if (this.#serving.size < limits.maxConnections) return null;
    return `host ${id} serves ${limits.maxConnections} connections already`;
  }

  #refuse(connection: Connection, message: string): ConnectionHandlers {
    const { rateLimit, logger, id } = this.#context;
    if (rateLimit.admits("connections")) {
      logger.warn({ host: id, remote: connection.remote }, `connection refused: ${message}`);
    }
    connection.send(encodeFrame({ type: "refuse", code: "overloaded", message }));
    connection.close();
    return {
      onOpen: () => undefined,
      onPayload: () => undefined,
      onDrain: () => undefined,
      onClose: () => this.#gone(connection),
    };
  }

  #gone(connection: Connection): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#onEmpty?.();
  }

  dropGroup(group: HostedGroup, code: string, message: string): void {
    for (const accepted of this.#serving) accepted.dropGroup(group, code, message);
  }

  /** Adds the members of other hosts that have a channel open to one of ours. */
  addPeers(ids: Set<MemberId>): void {
    for (const accepted of this.#serving) accepted.addPeers(ids);
  }

  /** A connection is open on which the member has named its address. */
  isConnected(id: MemberId): boolean {
    for (const accepted of this.#serving) if (accepted.carries(id)) return true;
    return false;
  }

  /** Whichever address is the older one, nobody who lives stays unheard: it greets anew. */
  moved(id: MemberId, address: string): void {
    for (const accepted of [...this.#serving]) accepted.moved(id, address);
  }

  tick(nowMs: number): void {
    for (const accepted of [...this.#serving]) accepted.tick(nowMs);
  }

  /** Lets what was sent leave, but not for longer than `graceMs`. */
  close(graceMs: number): Promise<void> {
    this.#closed = true;
    for (const connection of this.#open) connection.close();
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#context.clock.after(graceMs, () => {
        for (const connection of [...this.#open]) connection.destroy("the host is closed");
      });
      this.#onEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
