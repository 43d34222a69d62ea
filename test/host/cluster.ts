/** Hosts of one process over a network and a clock that stand still until told. */
import assert from "node:assert/strict";
import { SeededRandom, VirtualClock } from "../../src/clock/virtual.js";
import { createCborCodec } from "../../src/codec/values.js";
import type { GroupHandle } from "../../src/host/handle.js";
import type { Host } from "../../src/host/host.js";
import { type GroupOptions, type HostOptions, silentLogger } from "../../src/host/options.js";
import { startHostWith } from "../../src/host/start.js";
import type { Logger } from "../../src/ports.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { MemoryNetwork } from "../../src/transport/memory.js";
import { defineValue } from "../../src/value/define.js";
import type { AnyDefinedValue } from "../../src/value/types.js";
import { ProcessClock, processTransport } from "./process-clock.js";

export const queue = defineValue({
  name: "queue",
  version: 1,
  initial: () => ({ items: [] as readonly string[] }),
  commands: {
    enqueue: (q, item: string) => ({ reply: q.items.length, value: { items: [...q.items, item] } }),
    dequeue: (q) => ({ reply: q.items[0] ?? null, value: { items: q.items.slice(1) } }),
  },
  queries: { length: (q) => q.items.length, items: (q) => q.items },
});

export const counter = defineValue({
  name: "counter",
  version: 1,
  initial: () => 0,
  commands: {
    inc: (n, by: number) => ({ reply: n + by, value: n + by }),
    fail: (_n): { reply: number; value: number } => {
      throw new Error("the handler's own trouble");
    },
  },
  queries: { get: (n) => n },
});

export type Queue = typeof queue;
export type Counter = typeof counter;

export type LogLine = { readonly level: string; readonly fields: object; readonly message: string };

/** Keeps what is logged, for tests that look at it. */
export function createLogBook(): { readonly lines: LogLine[]; readonly logger: Logger } {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields, message });
    };
  return {
    lines,
    logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
  };
}

const stepMs = 5;

export class Cluster {
  readonly clock = new VirtualClock({ nowMs: 1000 });
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly hosts = new Map<string, Host>();
  /** Each host's own clock: a process can stand still on its own. */
  readonly clocks = new Map<string, ProcessClock>();

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork({ clock: this.clock });
  }

  /** Starts a host; its address is its id with `:1`. */
  async start(id: string, options: Partial<HostOptions> = {}): Promise<Host> {
    const clock = new ProcessClock(this.clock);
    const host = await this.run(
      startHostWith(
        {
          id,
          listen: `${id}:1`,
          clock,
          random: this.random.fork(),
          transport: processTransport(clock, this.network.transport(id)),
          ...options,
        },
        {
          clock,
          random: this.random,
          codec: createCborCodec(),
          logger: silentLogger,
          freeze: true,
          makeStorage: () => createMemoryStorage(),
          makeTransport: () => this.network.transport(id),
        },
      ),
    );
    this.hosts.set(id, host);
    this.clocks.set(id, clock);
    return host;
  }

  host(id: string): Host {
    const host = this.hosts.get(id);
    assert.ok(host !== undefined, `no host ${id}`);
    return host;
  }

  /** A group of the given hosts: the first creates it, the others join through it one by one. */
  async group<D extends AnyDefinedValue>(
    name: string,
    definition: D,
    ids: readonly string[],
    options: Partial<GroupOptions> = {},
  ): Promise<GroupHandle<D>[]> {
    const handles: GroupHandle<D>[] = [];
    for (const id of ids) {
      if (!this.hosts.has(id)) await this.start(id);
      const start = handles.length === 0 ? "create" : { join: [`${ids[0]}:1`] };
      const joining = this.host(id).group(name, definition, { ...options, start });
      handles.push(await this.run(joining));
    }
    return handles;
  }

  /** Lets time pass until the promise is settled. */
  async run<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => (settled = true));
    watched.catch(() => undefined);
    await microtasks();
    for (let spentMs = 0; !settled; spentMs += stepMs) {
      assert.ok(spentMs < limitMs, `not settled after ${limitMs} ms`);
      this.clock.advance(stepMs);
      await microtasks();
    }
    return await watched;
  }

  /** Lets time pass until the condition holds. */
  async until(what: string, holds: () => boolean, limitMs = 60_000): Promise<void> {
    await microtasks();
    for (let spentMs = 0; !holds(); spentMs += stepMs) {
      assert.ok(spentMs < limitMs, `not within ${limitMs} ms: ${what}`);
      this.clock.advance(stepMs);
      await microtasks();
    }
  }

  async pass(byMs: number): Promise<void> {
    await microtasks();
    for (let spentMs = 0; spentMs < byMs; spentMs += stepMs) {
      this.clock.advance(stepMs);
      await microtasks();
    }
  }

  /** The hosts whose member of the group leads, of those that run. */
  leaders(group: string): string[] {
    return [...this.hosts]
      .filter(([id, host]) => {
        return this.clocks.get(id)?.stopped === false && host.memberOf(group)?.role === "leader";
      })
      .map(([id]) => id);
  }

  /** The host closes, and may be started again. */
  async stop(id: string): Promise<void> {
    await this.run(this.host(id).close());
    this.hosts.delete(id);
  }

  /** As SIGKILL: the host does nothing any more, its connections break. */
  kill(id: string): void {
    this.clocks.get(id)!.freeze();
    this.network.disconnect(id);
    for (const other of this.hosts.keys()) if (other !== id) this.network.cut(id, other);
    this.hosts.delete(id);
  }

  async close(): Promise<void> {
    for (const clock of this.clocks.values()) clock.thaw();
    await this.run(Promise.all([...this.hosts.values()].map((host) => host.close())));
  }
}

/** Lets every promise that can settle do so. */
export async function microtasks(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
