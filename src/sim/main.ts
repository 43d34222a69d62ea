/**
 * `npm run sim -- --seed 42`: runs simulations until a seed fails, a count is reached or time is over.
 */
import { writeFileSync } from "node:fs";
import { createSystemClock, createSystemRandom } from "../clock/system.js";
import { SeededRandom } from "../clock/virtual.js";
import { formatHistory } from "./history.js";
import { parseOptions, usage, type SimOptions } from "./main-options.js";
import { faultNames } from "./nemesis.js";
import { Progress } from "./progress.js";
import { reproduce, seedText, shrink } from "./shrink.js";
import { runSimulation, type SimulationOptions, type SimulationResult } from "./simulation.js";
import type { Seed } from "./settings.js";

/** With so many seeds, a kind of fault that never struck is a hole in the run. */
const seedsForAllFaults = 40;

const options = parseOptions(process.argv.slice(2));
if (typeof options === "string") {
  process.stderr.write(`${options}\n${usage}\n`);
  process.exitCode = 2;
} else if (options.listFaults) {
  process.stdout.write(`${faultNames.join("\n")}\n`);
} else {
  process.exitCode = await run(options);
}

async function run(sim: SimOptions): Promise<number> {
  const clock = createSystemClock();
  const progress = new Progress(clock, process.stderr, process.stderr.isTTY);
  const endMs = sim.minutes === null ? Infinity : clock.nowMs() + sim.minutes * 60_000;
  const seeds = seedsOf(sim);
  const { stackTraceLimit } = Error;
  // Refusals are errors, and a stack for each is a good part of a run. A failure is run again, with them.
  if (seeds.count > 1) Error.stackTraceLimit = 0;
  for (let done = 0; done < seeds.count && clock.nowMs() < endMs; done++) {
    const chosen = simulationOptions(sim, seeds.next());
    const result = await runSimulation(chosen);
    progress.add(result);
    if (sim.history !== null) writeHistories(sim.history, result);
    if (result.failure !== null) {
      Error.stackTraceLimit = stackTraceLimit;
      progress.end();
      await report(chosen, result);
      return 1;
    }
    if (seeds.count === 1) describe(result);
  }
  progress.end();
  return checkFaults(sim, progress);
}

function seedsOf(sim: SimOptions): { readonly count: number; readonly next: () => Seed } {
  if (sim.seed !== null) {
    const { seed } = sim;
    return { count: 1, next: () => seed };
  }
  const count = sim.seeds ?? (sim.minutes === null ? 100 : Infinity);
  if (sim.from !== null) {
    let next = sim.from;
    return { count, next: () => next++ };
  }
  const system = createSystemRandom();
  const random = new SeededRandom([
    Math.floor(system.next() * 2 ** 32),
    Math.floor(system.next() * 2 ** 32),
  ]);
  return { count, next: () => [random.word(), random.word()] };
}

function simulationOptions(sim: SimOptions, seed: Seed): SimulationOptions {
  return {
    seed,
    settings: sim.settings,
    ...(sim.durationMs === null ? {} : { durationMs: sim.durationMs }),
    ...(sim.faults === null ? {} : { faults: sim.faults }),
    ...(sim.trace ? { trace: (line: string) => process.stdout.write(`${line}\n`) } : {}),
  };
}

function describe(result: SimulationResult): void {
  const { ok, failed, unknown, stale } = result.counts;
  process.stdout.write(
    `seed ${seedText(result.seed)}: trace ${result.traceHash}, ${result.events} events, ` +
      `${(result.virtualMs / 1000).toFixed(1)} virtual seconds, ${result.terms} terms, calls: ` +
      `${ok} ok, ${failed} failed, ${unknown} unknown, ${stale} stale\n`,
  );
}

async function report(options: SimulationOptions, result: SimulationResult): Promise<void> {
  const { message, atMs } = result.failure!;
  const out = process.stdout;
  out.write(`\nFAILED at ${atMs.toFixed(3)} virtual ms: ${message}\n`);
  out.write(`settings: ${JSON.stringify(result.settings)}\n`);
  out.write(`again:  ${reproduce(options)}\n`);
  out.write("shrinking ...\n");
  const shrunk = await shrink(options, result);
  const failure = shrunk.result.failure!;
  out.write(`after ${shrunk.runs} runs: ${failure.message}\n`);
  if (failure.cause instanceof Error && failure.cause.stack !== undefined) {
    out.write(`${failure.cause.stack}\n`);
  }
  const struck = [...shrunk.result.faults].map(([kind, count]) => `${kind} ${count}`);
  out.write(`faults: ${struck.join(", ") || "none"}\n`);
  out.write(`shrunk: ${reproduce(shrunk.options)} --trace\n`);
}

/** A run whose faults never struck has shown nothing. */
function checkFaults(sim: SimOptions, progress: Progress): number {
  const missing = (sim.faults ?? faultNames).filter((name) => !progress.faults.has(name));
  if (missing.length === 0) return 0;
  process.stdout.write(`never struck: ${missing.join(", ")}\n`);
  // Without disks, or with one machine alone, some kinds have nothing to strike at.
  const { machines, durable } = sim.settings;
  const narrowed = machines !== undefined || durable !== undefined || sim.durationMs !== null;
  return progress.seeds >= seedsForAllFaults && !narrowed ? 1 : 0;
}

function writeHistories(file: string, { histories }: SimulationResult): void {
  histories.forEach((history, at) => {
    writeFileSync(at === 0 ? file : `${file}.${at + 1}`, formatHistory(history));
  });
}
