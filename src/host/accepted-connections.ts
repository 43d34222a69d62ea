/** All connections that others have opened to this host. */
import { encodeFrame } from "../codec/wire.js";
import type { MemberId } from "../core/types.js";
import type { Connection, ConnectionHandlers } from "../ports.js";
import { AcceptedConnection } from "./accepted.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

/**
 * So many more than `maxConnections` are there for other hosts: without them there is no leader, and a crowd of clients,
 * which come again faster than they do, would keep them out for as long as it lasts.
 */
export const spareForPeers = 128;

export class AcceptedConnections {
  readonly #context: HostContext;
  /** Those that are served, and those whose last bytes are still on their way. */
  readonly #serving = new Set<AcceptedConnection>();
  /** Those among the former that come from outside, and those among these that have said who they are. */
  readonly #fromOutside = new Set<AcceptedConnection>();
  readonly #greeted = new Set<AcceptedConnection>();
  readonly #open = new Set<Connection>();
  #closed = false;
  #onEmpty: (() => void) | null = null;

  constructor(context: HostContext) {
    this.#context = context;
  }

  /** `isLocal`: of this host's own handles, which no crowd keeps out. */
  accept(connection: Connection, isLocal = false): ConnectionHandlers {
    this.#open.add(connection);
    const most = this.#context.limits.maxConnections + spareForPeers;
    if (this.#closed) return this.#refuse(connection, `host ${this.#context.id} is closing`);
    if (!isLocal && this.#fromOutside.size >= most) return this.#refuse(connection, this.#full());
    const accepted: AcceptedConnection = new AcceptedConnection(this.#context, connection, {
      greeted: (kind) => (isLocal ? null : this.#greet(accepted, kind)),
      ended: () => {
        this.#serving.delete(accepted);
        this.#fromOutside.delete(accepted);
        this.#greeted.delete(accepted);
      },
    });
    this.#serving.add(accepted);
    if (!isLocal) this.#fromOutside.add(accepted);
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

  #full(): string {
    const { id, limits } = this.#context;
    return `host ${id} serves ${limits.maxConnections} connections already`;
  }

  #greet(accepted: AcceptedConnection, kind: "peer" | "client"): string | null {
    const { maxConnections } = this.#context.limits;
    if (kind === "client" && this.#greeted.size >= maxConnections) {
      this.#warn(accepted.remote, this.#full());
      return this.#full();
    }
    this.#greeted.add(accepted);
    return null;
  }

  #warn(remote: string, message: string): void {
    const { rateLimit, logger, id } = this.#context;
    if (!rateLimit.admits("connections")) return;
    logger.warn({ host: id, remote }, `connection refused: ${message}`);
  }

  #refuse(connection: Connection, message: string): ConnectionHandlers {
    this.#warn(connection.remote, message);
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
