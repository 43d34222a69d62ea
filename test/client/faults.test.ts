/**
 * Random faults from a seed: connections break, leaders change, replies get lost, entries commit long after
 * their leader was deposed, sessions expire. Whatever happens, every call is settled in time, nothing is
 * applied twice, and `applied` is the truth.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ClientRequest } from "../../src/codec/types.js";
import { SeededRandom } from "../../src/clock/virtual.js";
import { type Answer, type FakeHost } from "./fake-server.js";
import { type ListClient, type Outcome, World } from "./world.js";

type Pushed = {
  readonly item: number;
  readonly deadlineMs: number;
  readonly box: { outcome: Outcome | null };
};
type Asked = {
  /** Pushes that were known to be done when the query was made. */
  readonly atLeast: number;
  readonly box: { outcome: Outcome | null };
};
type Command = Extract<ClientRequest, { type: "command" }>;

class Chaos {
  readonly world: World;
  readonly random: SeededRandom;
  readonly pushed: Pushed[] = [];
  readonly asked: Asked[] = [];
  /** Appended by a leader that was deposed; applied some time later, or never. */
  readonly late: Command[] = [];
  readonly fired = new Map<string, number>();
  readonly #clients: ListClient[];
  readonly #stopped = new Set<FakeHost>();
  #lastItem = 0;

  constructor(world: World, seed: number) {
    this.world = world;
    this.random = new SeededRandom(seed);
    this.#clients = [world.client(), world.client({ home: "b:1" })];
    for (const host of world.group.hosts) host.answer = (request) => this.#answer(request);
  }

  /** Once in a while, what happens to a request is a fault. */
  #answer(request: ClientRequest): Answer {
    const dice = this.random.next();
    if (dice < 0.85) return "serve";
    if (dice < 0.89) return this.#note("reply lost", "applyOnly");
    if (dice < 0.92) {
      if (request.type === "command") this.late.push(request);
      return this.#note("committed late", "ignore");
    }
    if (dice < 0.95) return this.#note("overloaded", { status: "overloaded" });
    if (dice < 0.98) return this.#note("unavailable", { status: "unavailable" });
    if (request.type === "command" && this.random.next() < 0.5) this.late.push(request);
    return this.#note("maybe", { status: "unavailable", applied: "maybe" });
  }

  #note<T>(fault: string, result: T): T {
    this.fired.set(fault, (this.fired.get(fault) ?? 0) + 1);
    return result;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]!;
  }

  call(): void {
    const client = this.#pick(this.#clients);
    const timeoutMs = 20 + this.random.below(3000);
    const deadlineMs = this.world.clock.nowMs() + timeoutMs;
    if (this.random.next() < 0.2) {
      const atLeast = this.pushed.filter(({ box }) => box.outcome?.type === "value").length;
      this.asked.push({ atLeast, box: this.world.watch(client.query("length", { timeoutMs })) });
      return;
    }
    const item = ++this.#lastItem;
    let options: { timeoutMs: number; signal?: AbortSignal } = { timeoutMs };
    if (this.random.next() < 0.1) {
      const controller = new AbortController();
      this.world.clock.after(this.random.below(300), () => controller.abort());
      options = { timeoutMs, signal: controller.signal };
    }
    const box = this.world.watch(client.command("push", item, options));
    this.pushed.push({ item, deadlineMs, box });
  }

  async fault(): Promise<void> {
    const { group, network } = this.world;
    const host = this.#pick(group.hosts);
    switch (this.random.below(9)) {
      case 0:
        this.#note("broken connections", null);
        return host.breakConnections();
      case 1:
        if (this.#stopped.size >= 2 || this.#stopped.has(host)) return;
        this.#stopped.add(this.#note("host died", host));
        return host.stop();
      case 2:
        if (!this.#stopped.delete(host)) return;
        return host.start();
      case 3:
        this.#note("network cut", null);
        return network.cut("client", host.id);
      case 4:
        return network.heal("client", host.id);
      case 5: {
        const alive = group.hosts.filter((each) => !this.#stopped.has(each));
        const leader = this.random.next() < 0.2 ? null : group.hosts.indexOf(this.#pick(alive));
        const heard = group.hosts.filter(() => this.random.next() < 0.7);
        this.#note("new leader", null);
        return group.elect(leader, heard);
      }
      case 6:
        host.silent = this.#note("silence", this.random.next() < 0.5);
        return;
      case 7:
        if (this.random.next() < 0.7) return;
        this.#note("sessions expired", null);
        return group.expireSessions();
      default: {
        const command = this.late.shift();
        if (command !== undefined) this.#note("late commit", group.apply(command));
      }
    }
  }

  async heal(): Promise<void> {
    const { group, network } = this.world;
    network.healAll();
    for (const host of group.hosts) {
      host.silent = false;
      host.answer = () => "serve";
    }
    for (const host of this.#stopped) await host.start();
    group.elect(0);
    for (const command of this.late.splice(0)) group.apply(command);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await this.world.value(client.close());
  }
}

function checkPush({ item, deadlineMs, box }: Pushed, applied: readonly number[]): string {
  const times = applied.filter((each) => each === item).length;
  const { outcome } = box;
  assert.ok(outcome !== null, `push ${item} was never settled`);
  assert.ok(outcome.atMs <= deadlineMs + 30, `push ${item} was settled late`);
  if (outcome.type === "value") {
    assert.equal(times, 1, `push ${item} was answered and applied ${times} times`);
    assert.equal(applied[(outcome.value as number) - 1], item, "the reply is its own");
    return "value";
  }
  const { code, message } = outcome.error;
  const truth = `push ${item}: ${code} "${outcome.error.applied}", applied ${times} times (${message})`;
  assert.ok(times <= (outcome.error.applied === "no" ? 0 : 1), truth);
  return outcome.error.applied;
}

async function run(seed: number, totals: Map<string, number>): Promise<void> {
  const world = await World.create(3 + (seed % 3), seed);
  const chaos = new Chaos(world, seed);
  for (let step = 0; step < 250; step += 1) {
    for (let calls = chaos.random.below(4); calls > 0; calls -= 1) chaos.call();
    if (chaos.random.next() < 0.25) await chaos.fault();
    await world.pass(1 + chaos.random.below(30));
  }
  await chaos.heal();
  await world.pass(4000);
  const add = (key: string, by = 1): unknown => totals.set(key, (totals.get(key) ?? 0) + by);
  for (const push of chaos.pushed) add(`push: ${checkPush(push, world.group.applied)}`);
  for (const { atLeast, box } of chaos.asked) {
    assert.ok(box.outcome !== null);
    if (box.outcome.type !== "value") assert.equal(box.outcome.error.applied, "no");
    else assert.ok((box.outcome.value as number) >= atLeast, "a query reads what was done before");
  }
  for (const [fault, times] of chaos.fired) add(fault, times);
  const client = world.client();
  assert.equal(typeof (await world.value(client.command("push", -1))), "number");
  await world.value(client.close());
  await chaos.close();
  assert.equal(world.clock.runUntilIdle(), true, "no timer outlives the clients");
}

describe("under random faults", () => {
  const totals = new Map<string, number>();
  for (let seed = 1; seed <= 30; seed += 1) {
    test(`every call is settled with the truth (seed ${seed})`, () => run(seed, totals));
  }

  test("every kind of fault has struck, and every kind of answer was given", () => {
    const expected = [
      ["push: value", "push: no", "push: maybe", "reply lost", "committed late", "overloaded"],
      ["unavailable", "maybe", "broken connections", "host died", "network cut", "new leader"],
      ["silence", "sessions expired", "late commit"],
    ].flat();
    for (const kind of expected) assert.ok((totals.get(kind) ?? 0) >= 10, `${kind} was too rare`);
  });
});
