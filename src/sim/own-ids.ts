/**
 * A command under an id of the caller's own, as a program makes it that must not lose one: asked again after every
 * failure, also several times at once and through other clients. All of it is one command with one answer.
 */
import { createCborCodec } from "../codec/values.js";
import type { SeededRandom } from "../clock/virtual.js";
import { hashBytes } from "./hash.js";
import { type CallOutcome, hasThrown, isInDoubt } from "./outcome.js";

export type InsistOptions = {
  readonly random: SeededRandom;
  /** One try; it always ends. */
  readonly attempt: () => Promise<CallOutcome>;
  /** Hears of two answers that differ. */
  readonly fail: (message: string) => void;
};

const maxRounds = 8;
const codec = createCborCodec();

/** The answer if there was one, else what is least certain of all that was heard. */
export async function insist({ random, attempt, fail }: InsistOptions): Promise<CallOutcome> {
  let answer: CallOutcome | null = null;
  let doubt: CallOutcome | null = null;
  let refusal: CallOutcome = { type: "lost" };
  for (let round = 0; round < maxRounds; round++) {
    const tries = Array.from({ length: 1 + random.below(3) }, attempt);
    for (const outcome of await Promise.all(tries)) {
      if (outcome.type === "ok" || hasThrown(outcome)) {
        if (answer !== null && textOf(answer) !== textOf(outcome)) {
          fail(`one id was answered ${textOf(answer)} and ${textOf(outcome)}`);
        }
        answer ??= outcome;
      } else if (isInDoubt(outcome)) doubt = outcome;
      else refusal = outcome;
    }
    // Some ask again although they have heard: the answer is kept for them.
    if (answer !== null && random.next() < 0.7) break;
    // And some leave it at a refusal that says that nothing has happened.
    if (answer === null && doubt === null && random.next() < 0.3) break;
  }
  return answer ?? doubt ?? refusal;
}

function textOf(outcome: CallOutcome): string {
  if (outcome.type === "ok") return `with ${hashBytes(codec.encode(outcome.reply))}`;
  return outcome.type === "refused" ? outcome.error.code : outcome.type;
}
