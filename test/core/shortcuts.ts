/**
 * The ways around a turn that a shell may go (core/sign-of-life.ts), for one machine. Each one that is taken is
 * held against a turn of a copy: the same effects, and the same state afterwards.
 */
import { isDeepStrictEqual } from "node:util";
import {
  beatAgain,
  cloneCore,
  type Core,
  expectTurn,
  flush,
  hearPulse,
  hearSignOfLife,
  type Pulse,
  type Rest,
  restAgain,
  step,
  takePulse,
  takeRest,
} from "../../src/core/index.js";
import type { CoreEffect, CoreEvent, MemberId, Message } from "../../src/core/types.js";

/** `fault`: what a turn would have done otherwise, or null. */
export type Taken = {
  readonly what: string;
  readonly out: readonly CoreEffect[];
  readonly fault: string | null;
};
type Received = Extract<CoreEvent, { type: "messageReceived" }>;
type Fired = Extract<CoreEvent, { type: "timerFired" }>;
/** Does what a turn would do and returns true, or does nothing. */
type Offer = (out: CoreEffect[]) => boolean;
type Said = {
  readonly pulse: Pulse;
  readonly message: Message;
  readonly effects: readonly CoreEffect[];
};

export class Shortcuts {
  /** By who sent them. */
  readonly #said = new Map<MemberId, Said>();
  #rest: { readonly rest: Rest; readonly effects: readonly CoreEffect[] } | null = null;

  /** The shortest first. */
  hear(core: Core, event: Received): Taken | null {
    const { from, message, nowMs } = event;
    const what = message.type === "appendEntriesReply" ? "heard echo" : "heard beat";
    const again = this.#hearAgain(core, event, `${what} again`);
    if (again !== null) return again;
    const offer: Offer = (out) => hearSignOfLife(core, from, message, nowMs, out);
    const taken = compared(core, event, what, offer);
    const pulse = taken === null ? null : takePulse(core, from, message);
    if (pulse !== null) this.#said.set(from, { pulse, message, effects: taken!.out });
    return taken;
  }

  #hearAgain(core: Core, event: Received, what: string): Taken | null {
    const { from, message, nowMs } = event;
    const said = this.#said.get(from);
    if (said === undefined || !("sentAtMs" in message)) return null;
    if (!isSameButTime(said.message, message)) return null;
    const { sentAtMs } = message;
    return compared(core, event, what, (out) => {
      if (!hearPulse(said.pulse, sentAtMs, nowMs)) return false;
      out.push(...said.effects.map((effect) => at(effect, sentAtMs)));
      return true;
    });
  }

  beat(core: Core, event: Fired): Taken | null {
    const { nowMs } = event;
    const known = this.#rest;
    const rested =
      known === null
        ? null
        : compared(core, event, "rest again", (out) => {
            if (!restAgain(known.rest, nowMs)) return false;
            out.push(...known.effects.map((effect) => at(effect, core.nowMs)));
            return true;
          });
    if (rested !== null) return rested;
    const taken = compared(core, event, "beat again", (out) => beatAgain(core, nowMs, out));
    this.#rest = taken === null ? null : { rest: takeRest(core), effects: taken.out };
    return taken;
  }
}

function compared(core: Core, event: CoreEvent, what: string, offer: Offer): Taken | null {
  const copy = cloneCore(core);
  const out: CoreEffect[] = [];
  // An acknowledgement is heard whatever waits, by looking at more than whether all is quiet.
  if (what !== "heard echo" && overtakes(core, offer)) {
    return { what, out, fault: `${what} overtakes an event that waits for its turn` };
  }
  if (!offer(out)) {
    const fault = `${what} is declined, and brings ${showJson(out)}`;
    return out.length === 0 ? null : { what, out: [], fault };
  }
  const expected: CoreEffect[] = [];
  step(copy, event, expected);
  flush(copy, expected);
  // Only the shortcuts look at these.
  copy.quiet = core.quiet;
  if (copy.role.type === "leader" && core.role.type === "leader") {
    copy.role.readableUntilMs = core.role.readableUntilMs;
  }
  const same = isDeepStrictEqual([out, cloneCore(core)], [expected, cloneCore(copy)]);
  const both = `${showJson(out)}, a turn brings ${showJson(expected)}`;
  return { what, out, fault: same ? null : `${what} brings ${both}: ${showJson(event)}` };
}

/** Whether it would be taken although an event waits for the next turn; puts back what it changes. */
function overtakes(core: Core, offer: Offer): boolean {
  const { quiet, rest } = core;
  expectTurn(core);
  const taken = offer([]);
  core.quiet = quiet;
  core.rest = rest;
  return taken;
}

function isSameButTime(one: Message, other: Message): boolean {
  return isDeepStrictEqual({ ...one, sentAtMs: 0 }, { ...other, sentAtMs: 0 });
}

/** A message that was sent before, at another time. */
function at(effect: CoreEffect, sentAtMs: number): CoreEffect {
  if (effect.type !== "send") return effect;
  return { ...effect, message: { ...effect.message, sentAtMs } as Message };
}

export function showJson(what: object): string {
  return JSON.stringify(what, (key, value: unknown) => {
    if (value instanceof Uint8Array) return `<${value.length}>`;
    return key === "config" || key === "payload" || key === "members" ? undefined : value;
  });
}
