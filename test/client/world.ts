/** A fake group of hosts, a client of it, and virtual time that passes while a test waits. */
import assert from "node:assert/strict";
import {
  type AdminCalls,
  createGroupClient,
  type GroupClientOptions,
} from "../../src/client/client.js";
import type { GroupClient } from "../../src/client/types.js";
import { SeededRandom, VirtualClock } from "../../src/clock/virtual.js";
import { RaftError } from "../../src/errors.js";
import { MemoryNetwork } from "../../src/transport/memory.js";
import { defineValue } from "../../src/value/define.js";
import { codec, FakeGroup, FakeHost } from "./fake-server.js";

/** `push` replies with the length after it; `fail` throws. */
export const list = defineValue({
  name: "list",
  version: 3,
  compatibleVersions: [2],
  initial: () => [] as readonly number[],
  commands: {
    push: (items, item: number) => ({ reply: items.length + 1, value: [...items, item] }),
    fail: (): { reply: null; value: readonly number[] } => {
      throw new Error("it threw");
    },
  },
  queries: { length: (items) => items.length, at: (items, index: number) => items[index] ?? null },
});

export type ListClient = GroupClient<typeof list> & AdminCalls;

export const silent = {
  debug: (): void => undefined,
  info: (): void => undefined,
  warn: (): void => undefined,
  error: (): void => undefined,
};

/** How a call came out. */
export type Outcome =
  | { readonly type: "value"; readonly value: unknown; readonly atMs: number }
  | { readonly type: "error"; readonly error: RaftError; readonly atMs: number };

export class World {
  readonly clock = new VirtualClock();
  readonly network = new MemoryNetwork({ clock: this.clock });
  readonly group = new FakeGroup();
  readonly random: SeededRandom;

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
  }

  /** Hosts "a", "b", ... at `a:1`, `b:1`, ...; the first one leads. */
  static async create(hostCount: number, seed = 1): Promise<World> {
    const world = new World(seed);
    for (let i = 0; i < hostCount; i += 1) {
      const id = "abcdefg"[i]!;
      await new FakeHost(world.group, id, world.network.transport(id), `${id}:1`).start();
    }
    return world;
  }

  host(id: string): FakeHost {
    return this.group.hosts.find((host) => host.id === id)!;
  }

  client(options: Partial<GroupClientOptions<typeof list>> = {}): ListClient {
    const transport = this.network.transport("client");
    return createGroupClient({
      definition: list,
      group: "numbers",
      hosts: this.group.hosts.map((host) => host.address),
      dial: (address, handlers) => transport.dial(address, handlers),
      clock: this.clock,
      random: this.random,
      codec,
      logger: silent,
      ...options,
    });
  }

  /** Lets time pass, and promises' continuations run in between. */
  async pass(forMs: number): Promise<void> {
    const untilMs = this.clock.nowMs() + forMs;
    await turn();
    while (this.clock.nowMs() < untilMs) {
      const dueMs = this.clock.nextDueMs() ?? untilMs;
      this.clock.advanceTo(Math.min(untilMs, Math.max(dueMs, this.clock.nowMs())));
      await turn();
    }
  }

  /** Runs what can run without time passing. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i += 1) {
      this.clock.runSoon();
      await turn();
    }
  }

  /** Lets time pass until the call is settled; fails if that takes longer than `limitMs`. */
  async outcome(call: Promise<unknown>, limitMs = 60_000): Promise<Outcome> {
    const box = this.watch(call);
    const untilMs = this.clock.nowMs() + limitMs;
    while (box.outcome === null && this.clock.nowMs() < untilMs) await this.pass(5);
    assert.ok(box.outcome !== null, `the call was not settled within ${limitMs} ms`);
    return box.outcome;
  }

  /** Notes how and when a call is settled. */
  watch(call: Promise<unknown>): { outcome: Outcome | null } {
    const box: { outcome: Outcome | null } = { outcome: null };
    call.then(
      (value) => {
        box.outcome = { type: "value", value, atMs: this.clock.nowMs() };
      },
      (error: unknown) => {
        assert.ok(error instanceof RaftError, String(error));
        box.outcome = { type: "error", error, atMs: this.clock.nowMs() };
      },
    );
    return box;
  }

  async value(call: Promise<unknown>): Promise<unknown> {
    const outcome = await this.outcome(call);
    assert.equal(outcome.type, "value", outcome.type === "error" ? outcome.error.message : "");
    return outcome.type === "value" ? outcome.value : undefined;
  }

  /** Who has answered `status()`. */
  async answeredBy(call: Promise<unknown>): Promise<string> {
    return ((await this.value(call)) as { readonly id: string }).id;
  }

  async error(call: Promise<unknown>): Promise<RaftError> {
    const outcome = await this.outcome(call);
    assert.ok(outcome.type === "error", "the call was expected to fail");
    return outcome.error;
  }
}

/** One round of the real event loop: every continuation of a promise has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Commands that a host was sent, as `session/sequence`. */
export function identities(host: FakeHost): string[] {
  return host.requests.flatMap((request) =>
    request.type === "command" ? [`${request.session}/${request.sequence}`] : [],
  );
}
