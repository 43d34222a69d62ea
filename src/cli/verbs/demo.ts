/** `demo`: three processes, a queue, two kills, nothing lost. */
import { messageOf } from "../../errors.js";
import { createStage, type Stage, strike, tell } from "../demo/stage.js";
import { tellStory } from "../demo/story.js";
import { listenForShutdown } from "../shutdown.js";
import type { Verb } from "../usage.js";

const longestMs = 29_000;

export const demoVerb: Verb = {
  name: "demo",
  summary: "Run three members as processes, kill one, then the leader, and lose nothing.",
  positionals: "",
  maxPositionals: 0,
  options: { "timeout-ms": { value: "N", help: "give up after N milliseconds (29000, the most)" } },
  notes: ["Takes less than half a minute. Exits with 0 only if every value was right."],
  async run(input) {
    const stage = createStage(input.json);
    const shutdown = listenForShutdown();
    const alarm = startAlarm(Math.min(longestMs, input.timeoutMs ?? longestMs));
    try {
      const story = tellStory(stage);
      // Whoever wins, the loser's own end is no second failure.
      story.catch(() => undefined);
      const interrupted = shutdown.requested.then(() => giveUp());
      await Promise.race([story, stage.lost, alarm.rang, interrupted]);
    } catch (error) {
      stage.wrong.push(messageOf(error));
    } finally {
      alarm.cancel();
      await strike(stage);
      shutdown.dispose();
    }
    return conclude(stage);
  },
};

function giveUp(): never {
  throw new Error("interrupted");
}

function startAlarm(afterMs: number): { readonly rang: Promise<never>; cancel(): void } {
  let timer: NodeJS.Timeout;
  const rang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${afterMs} ms`)), afterMs);
  });
  return { rang, cancel: () => clearTimeout(timer) };
}

function conclude(stage: Stage): number {
  if (stage.wrong.length === 0) {
    tell(stage, "done: every value was right, and no process is left", { good: true });
    return 0;
  }
  for (const problem of stage.wrong) tell(stage, `wrong: ${problem}`, { good: false, problem });
  return 1;
}
