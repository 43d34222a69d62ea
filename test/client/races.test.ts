/** Every kind of call, given up or closed at every stage of its way: settled with the truth, and nothing stays. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import type { RaftErrorCode } from "../../src/errors.js";
import type { CallOptions } from "../../src/client/types.js";
import { type ListClient, type Outcome, World } from "./world.js";

type Kind = {
  readonly hasEffect: boolean;
  /** `touch` runs while the argument is encoded. */
  readonly call: (client: ListClient, touch: () => void, options: CallOptions) => Promise<unknown>;
};

/** As an argument: it is read once, by the codec. */
function touched(touch: () => void): never {
  const arg = {
    get item(): number {
      touch();
      return 1;
    },
  };
  return arg as never;
}

const admin =
  (verb: string): Kind["call"] =>
  (client, touch, options) =>
    client.admin(verb, touched(touch), options);

const kinds: readonly Kind[] = [
  {
    hasEffect: true,
    call: (client, touch, options) => client.command("push", touched(touch), options),
  },
  {
    hasEffect: false,
    call: (client, touch, options) => client.query("at", touched(touch), options),
  },
  {
    hasEffect: false,
    call: (client, touch, options) => client.queryStale("at", touched(touch), options),
  },
  ...["changeConfig", "remove", "transfer"].map((verb) => ({ hasEffect: true, call: admin(verb) })),
  ...["status", "snapshot"].map((verb) => ({ hasEffect: false, call: admin(verb) })),
];

const stages = [
  ...([
    "before it is made",
    "while it is encoded",
    "in the same turn",
    "while it connects",
  ] as const),
  ...(["in flight", "with the answer", "after the answer"] as const),
];
type Stage = (typeof stages)[number];

/** What ends the call: the caller's signal, or the client. */
type End = {
  readonly code: RaftErrorCode;
  readonly act: (client: ListClient, controller: AbortController) => void;
};
const ends: readonly End[] = [
  { code: "aborted", act: (_client, controller) => controller.abort() },
  { code: "closed", act: (client) => void client.close() },
];

class Race {
  readonly world: World;
  readonly client: ListClient;
  readonly controller = new AbortController();
  readonly #kind: Kind;
  readonly #stage: Stage;
  readonly #end: End;
  /** Requests that the host had before. */
  #before = 0;

  constructor(world: World, kind: Kind, stage: Stage, end: End) {
    this.world = world;
    this.client = world.client();
    this.#kind = kind;
    this.#stage = stage;
    this.#end = end;
  }

  readonly #act = (): void => this.#end.act(this.client, this.controller);

  async run(): Promise<void> {
    const { world } = this;
    await this.#prepare();
    const box = world.watch(this.#call());
    if (this.#stage === "in the same turn") this.#act();
    if (this.#stage === "while it connects" || this.#stage === "in flight") {
      await world.pass(50);
      assert.equal(box.outcome, null);
      this.#act();
    }
    await world.pass(100);
    if (this.#stage === "after the answer") this.#act();
    await world.pass(20);
    assert.ok(box.outcome !== null);
    this.#check(box.outcome);
    await this.#checkRest();
  }

  async #prepare(): Promise<void> {
    const { world, client } = this;
    const host = world.host("a");
    host.silent = this.#stage === "while it connects";
    if (!host.silent) await world.value(client.command("push", 7));
    this.#before = host.requests.length;
    if (this.#stage === "in flight") host.answer = () => "ignore";
    if (this.#stage === "with the answer") {
      // The answer is on its way in the turn in which the call ends.
      host.answer = () => {
        world.clock.soon(this.#act);
        return "serve";
      };
    }
    if (this.#stage === "before it is made") this.#act();
  }

  #call(): Promise<unknown> {
    const { signal } = this.controller;
    const touch = this.#stage === "while it is encoded" ? this.#act : (): void => undefined;
    return this.#kind.call(this.client, touch, { signal });
  }

  #check(outcome: Outcome): void {
    if (this.#stage === "after the answer") return assert.equal(outcome.type, "value");
    // Whichever came first.
    if (this.#stage === "with the answer" && outcome.type === "value") return;
    assert.ok(outcome.type === "error");
    const wasSent = this.#stage === "in flight" || this.#stage === "with the answer";
    const applied = wasSent && this.#kind.hasEffect ? "maybe" : "no";
    assert.deepEqual([outcome.error.code, outcome.error.applied], [this.#end.code, applied]);
    if (!wasSent) assert.equal(this.world.host("a").requests.length, this.#before);
  }

  async #checkRest(): Promise<void> {
    const { world, client } = this;
    assert.equal(getEventListeners(this.controller.signal, "abort").length, 0);
    await world.value(client.close());
    await world.pass(100);
    assert.equal(world.host("a").links.size, 0);
    assert.equal(world.clock.nextDueMs(), null, "no timer is left");
  }
}

for (const end of ends) {
  describe(`a call that is ${end.code} is settled with the truth, and leaves nothing`, () => {
    for (const stage of stages) {
      test(stage, async () => {
        for (const kind of kinds) await new Race(await World.create(1), kind, stage, end).run();
      });
    }
  });
}
