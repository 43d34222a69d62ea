/**
 * A network whose every misfortune is drawn from the seed. Connections are streams: what arrives,
 * arrives in order and once, or the connection breaks and what was under way is lost. On a link that
 * is cut, bytes stall as they do in TCP until the link heals or the connection gives up.
 *
 * `peerFaults` goes beyond what TCP can do: single messages between members are dropped, doubled or
 * overtaken, since the core must bear that as well.
 */
import type { SeededRandom } from "../clock/virtual.js";
import { RaftError } from "../errors.js";
import type { Connection, ConnectionHandlers, Listener, Transport } from "../ports.js";
import { SimConnection } from "./connection.js";
import type { SimProcess } from "./process.js";
import { between, type World } from "./world.js";

export type NetworkSettings = {
  minDelayMs: number;
  maxDelayMs: number;
  /** Probability, per message between members. */
  dropRate: number;
  duplicateRate: number;
  reorderRate: number;
};

export const calmNetwork: Readonly<NetworkSettings> = Object.freeze({
  minDelayMs: 0.1,
  maxDelayMs: 1,
  dropRate: 0,
  duplicateRate: 0,
  reorderRate: 0,
});

/** As long as SYNs are repeated before a dial gives up. */
const connectTimeoutMs = 3000;
const synRetryMs = 1000;

type SimListener = {
  readonly process: SimProcess;
  readonly accept: (connection: Connection) => ConnectionHandlers;
};

export class SimNetwork {
  readonly world: World;
  readonly random: SeededRandom;
  readonly settings: NetworkSettings = { ...calmNetwork };
  /** Told of every payload that a process hands over. */
  onSend: ((process: SimProcess, connection: Connection, payload: Uint8Array) => void) | null =
    null;
  readonly #listeners = new Map<string, SimListener>();
  /** The last of each machine: its name finds it, wherever it listens. */
  readonly #named = new Map<string, SimListener>();
  readonly #connections = new Set<SimConnection>();
  /** `from>to`, by machine. */
  readonly #cut = new Set<string>();
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  #lastPort = 0;

  constructor(world: World, highWaterBytes = 4 * 1024 * 1024, lowWaterBytes = 1024 * 1024) {
    this.world = world;
    this.highWaterBytes = highWaterBytes;
    this.lowWaterBytes = lowWaterBytes;
    this.random = world.random.fork();
  }

  transport(process: SimProcess): Transport {
    return {
      listen: (address, accept) => this.#listen(process, address, accept),
      dial: (address, handlers) => this.#dial(process, address, handlers),
    };
  }

  /** Nothing gets from one machine to the other any more; the way back is another matter. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  mend(from: string, to: string): void {
    if (!this.#cut.delete(`${from}>${to}`)) return;
    for (const connection of this.#connections) {
      if (connection.machine === from && connection.peerMachine === to) connection.release();
    }
  }

  heal(): void {
    this.#cut.clear();
    for (const connection of this.#connections) connection.release();
  }

  /** Breaks every connection between two machines; both ends notice, each in its own time. */
  reset(machineA: string, machineB: string): number {
    let count = 0;
    for (const connection of [...this.#connections]) {
      const { machine, peerMachine } = connection;
      if (machine === machineA && peerMachine === machineB) {
        connection.breakBoth("connection reset");
        count += 1;
      }
    }
    return count;
  }

  delayMs(): number {
    return between(this.random, this.settings.minDelayMs, this.settings.maxDelayMs);
  }

  /** @internal */
  opened(connection: SimConnection): void {
    this.#connections.add(connection);
  }
  /** @internal */
  forget(connection: SimConnection): void {
    this.#connections.delete(connection);
  }

  #listen(process: SimProcess, address: string, accept: SimListener["accept"]): Promise<Listener> {
    if (address === "") {
      return Promise.reject(new RaftError("invalidArgument", "listen: the address is empty"));
    }
    const resolved = address.endsWith(":0")
      ? `${address.slice(0, -1)}${++this.#lastPort}`
      : address;
    const taken = this.#listeners.get(resolved);
    if (taken?.process.alive === true) {
      return Promise.reject(
        new RaftError("listenFailed", `listen: ${resolved} is in use; choose another`),
      );
    }
    const listener: SimListener = { process, accept };
    this.#listeners.set(resolved, listener);
    this.#named.set(process.machine, listener);
    return Promise.resolve({
      address: resolved,
      close: () => {
        if (this.#listeners.get(resolved) === listener) this.#listeners.delete(resolved);
        return Promise.resolve();
      },
    });
  }

  #dial(process: SimProcess, address: string, handlers: ConnectionHandlers): Connection {
    const dialled = new SimConnection(this, process, address, handlers);
    this.#knock(dialled, address, this.world.nowMs() + connectTimeoutMs);
    return dialled;
  }

  #knock(dialled: SimConnection, address: string, untilMs: number): void {
    this.world.after(this.delayMs(), () => {
      if (dialled.ended) return;
      const listener = this.#listeners.get(address) ?? this.#named.get(address);
      const here = dialled.machine;
      const there = listener?.process.machine;
      if (there !== undefined && (this.isCut(here, there) || this.isCut(there, here))) {
        if (this.world.nowMs() < untilMs) {
          this.world.after(synRetryMs, () => this.#knock(dialled, address, untilMs));
        } else dialled.end(new RaftError("connectFailed", `${address}: connect timed out`));
      } else if (listener === undefined || !listener.process.alive) {
        dialled.end(new RaftError("connectFailed", `${address}: connection refused`));
      } else this.#connect(dialled, listener);
    });
  }

  /** The kernel accepts even if the process is stopped: it finds the connection when it goes on. */
  #connect(dialled: SimConnection, listener: SimListener): void {
    const { process } = listener;
    const accepted = new SimConnection(this, process, dialled.process.name, null);
    dialled.pair(accepted);
    process.run("network", "accept", () => {
      if (accepted.ended) return;
      try {
        accepted.open(listener.accept(accepted));
      } catch (cause) {
        accepted.broken("accept", cause);
      }
    });
    this.world.after(this.delayMs(), () =>
      dialled.process.run("network", "connected", () => dialled.open(null)),
    );
  }
}
