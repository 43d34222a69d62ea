/** Costs that must not grow: with the value, with sessions, with members, with commands; idle costs. */
import { connect } from "../package.js";
import { inTurn, median, warmUp } from "../compare.js";
import type { LoadOptions } from "../load.js";
import { leaveSessions } from "../ours/sessions.js";
import { bigMap } from "../ours/values.js";
import { startOurs, type Ours } from "../systems.js";
import { idleGroups, idleMember, importCost } from "./idle.js";
import { retained, type Retained } from "./retained.js";

export type Ratio = {
  readonly name: "value" | "sessions" | "members";
  readonly what: string;
  /** One for each round. */
  readonly rounds: readonly number[];
  readonly ratio: number;
};
export type ScaleResult = {
  readonly suite: string;
  readonly ratios: readonly Ratio[];
  readonly retained: Retained;
  readonly idleMember: Awaited<ReturnType<typeof idleMember>>;
  readonly idleGroups: Awaited<ReturnType<typeof idleGroups>>["idleGroups"];
  readonly importCost: ReturnType<typeof importCost>;
};

const load: LoadOptions = { outstanding: 64, warmupMs: 200, measureMs: 1000 };
/** What is compared differs by less than what three rounds differ by. */
const leastRounds = 5;
const mapEntries = 1_000_000;
const fillBatch = 20_000;
const sessions = 100_000;

export async function scaleSuite(rounds: number, commands: number): Promise<ScaleResult> {
  const ratios = [await valueSize(rounds), await liveSessions(rounds), await moreMembers(rounds)];
  const held = await retained(commands);
  const idle = await idleGroups(idleMember);
  return {
    suite: "scale",
    ratios,
    retained: held,
    idleMember: idle.done,
    idleGroups: idle.idleGroups,
    importCost: importCost(),
  };
}

/** Runs both in alternation and stops them. */
async function compareTwo(
  name: Ratio["name"],
  what: string,
  systems: { readonly dearer: Ours; readonly cheaper: Ours },
  rounds: number,
): Promise<Ratio> {
  const both = [systems.dearer, systems.cheaper];
  for (const system of both) await warmUp(system);
  const ratios: number[] = [];
  for (let round = 0; round < Math.max(rounds, leastRounds); round++) {
    const opsPerSecond = new Map<Ours, number>();
    for (const system of inTurn(both, round)) {
      opsPerSecond.set(system, (await system.run(load)).opsPerSecond);
    }
    ratios.push(opsPerSecond.get(systems.dearer)! / opsPerSecond.get(systems.cheaper)!);
  }
  const ratio = median(ratios);
  const each = ratios.map((one) => one.toFixed(2)).join(", ");
  console.log(`${what}: ${ratio.toFixed(2)} (${each})`);
  return { name, what, rounds: ratios, ratio };
}

async function valueSize(rounds: number): Promise<Ratio> {
  const cheaper = await startOurs({ value: "bigMap", kind: "map" });
  const dearer = await startOurs({ value: "bigMap", kind: "map" });
  try {
    const client = connect(bigMap, { group: "bench", hosts: dearer.hosts, timeoutMs: 60_000 });
    for (let from = 0; from < mapEntries; from += fillBatch) {
      await client.command("fill", { from, to: from + fillBatch });
    }
    await client.close();
    const what = "commands/s with a map of 1,000,000 entries : of 10";
    return await compareTwo("value", what, { dearer, cheaper }, rounds);
  } finally {
    await cheaper.stop();
    await dearer.stop();
  }
}

async function liveSessions(rounds: number): Promise<Ratio> {
  // Room for those of the clients that measure, so that none of the others expires.
  const config = { maxSessions: 2 * sessions };
  const cheaper = await startOurs({ config });
  const dearer = await startOurs({ config });
  try {
    await leaveSessions(dearer.hosts[0]!, sessions);
    const what = "commands/s with 100,000 live sessions : with 1";
    return await compareTwo("sessions", what, { dearer, cheaper }, rounds);
  } finally {
    await cheaper.stop();
    await dearer.stop();
  }
}

async function moreMembers(rounds: number): Promise<Ratio> {
  const cheaper = await startOurs();
  const dearer = await startOurs({ members: 5 });
  try {
    const what = "commands/s of 5 members : of 3";
    return await compareTwo("members", what, { dearer, cheaper }, rounds);
  } finally {
    await cheaper.stop();
    await dearer.stop();
  }
}
