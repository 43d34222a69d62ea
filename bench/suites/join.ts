/** A newcomer takes in a value of a million map entries while clients go on writing. */
import { connect } from "../package.js";
import { median } from "../compare.js";
import type { CodecReply } from "../ours/codec.js";
import type { WatchedReply } from "../ours/member.js";
import { bigMap, mapEntries } from "../ours/values.js";
import { ask, startWorker, stopWorkers, type Worker } from "../processes.js";
import { defaults, type Ours, removeWhenSettled, startMember, startOurs } from "../systems.js";

export type JoinRound = {
  /** From the newcomer's call of `host.group()` until it is a member with the whole value. */
  readonly enteredMs: number;
  /** The same from the start of its process on. */
  readonly withProcessMs: number;
  /** Writes per second of all clients from the start of the newcomer's process until it had entered. */
  readonly writesPerSecond: number;
  readonly longestWriteMs: number;
  /** The longest that an event loop was kept waiting meanwhile. */
  readonly leaderStallMs: number;
  readonly newcomerStallMs: number;
};
export type JoinResult = {
  readonly suite: string;
  readonly mapEntries: number;
  readonly snapshotBytes: number;
  readonly rounds: readonly JoinRound[];
  readonly enteredMedianMs: number;
  readonly writesBefore: number;
  readonly leadershipLost: boolean;
  /** What the codec alone takes for the same value in a process of its own, without and beside the writers. */
  readonly alone: CodecCost;
  readonly beside: CodecCost;
};
export type CodecCost = { readonly encodeMs: number; readonly decodeMs: number };

const fillBatch = 20_000;
const writers = 64;
const warmUpMs = 1000;
const beforeMs = 2000;

export async function joinSuite(rounds: number): Promise<JoinResult> {
  const alone = await codecCost(1);
  // Nothing before the snapshot stays in the log, or the newcomer would be sent the few entries that fill the map.
  const config = { trailingLogBytes: 0 };
  const ours = await startOurs({ members: 3, value: "bigMap", config });
  const client = connect(bigMap, { group: "bench", hosts: ours.hosts, timeoutMs: 60_000 });
  try {
    for (let from = 0; from < mapEntries; from += fillBatch) {
      await client.command("fill", { from, to: from + fillBatch });
    }
    const asked = { leader: true, timeoutMs: 60_000 };
    const { sizeBytes } = await client.admin("snapshot", null, asked);
    const { term, firstLogIndex } = await client.status();
    if (firstLogIndex === 1) throw new Error("the log still reaches back to its beginning");
    const writing = startWriters(client);
    await new Promise((resolve) => setTimeout(resolve, warmUpMs));
    writing.reset();
    await new Promise((resolve) => setTimeout(resolve, beforeMs));
    const writesBefore = writing.reset().writesPerSecond;
    const results: JoinRound[] = [];
    for (let round = 0; round < rounds; round++) {
      results.push(await letIn(ours, client, writing, 4 + round));
    }
    const beside = await codecCost(rounds);
    await writing.stop();
    const result: JoinResult = {
      ...{ suite: "join", mapEntries, snapshotBytes: sizeBytes, rounds: results, writesBefore },
      enteredMedianMs: median(results.map((round) => round.enteredMs)),
      leadershipLost: (await client.status()).term !== term,
      ...{ alone, beside },
    };
    print(result);
    return result;
  } finally {
    await client.close();
    await ours.stop();
  }
}

type BigMapClient = ReturnType<typeof connect<typeof bigMap>>;
type Writing = ReturnType<typeof startWriters>;

/** One newcomer enters, and leaves again. */
async function letIn(
  ours: Ours,
  client: BigMapClient,
  writing: Writing,
  number: number,
): Promise<JoinRound> {
  const leader = ours.members[0]!;
  leader.process.send({ type: "watch" });
  writing.reset();
  const since = performance.now();
  const options = { ...defaults, value: "bigMap", watch: true } as const;
  const newcomer = await startMember(options, number, ours.hosts[0]!, null);
  const withProcessMs = performance.now() - since;
  const { writesPerSecond, longestWriteMs } = writing.reset();
  const atLeader = await watched(leader);
  const atNewcomer = await watched(newcomer);
  await removeWhenSettled(client, `host${number}`);
  await stopWorkers([newcomer]);
  return {
    ...{ enteredMs: atNewcomer.enteredMs, withProcessMs, writesPerSecond, longestWriteMs },
    leaderStallMs: atLeader.longestStallMs,
    newcomerStallMs: atNewcomer.longestStallMs,
  };
}

function watched(worker: Worker): Promise<WatchedReply> {
  return ask<WatchedReply>(worker, { type: "watched" }, "watched");
}

function startWriters(client: BigMapClient) {
  let stopped = false;
  let count = 0;
  let longestWriteMs = 0;
  let since = performance.now();
  const loops = Array.from({ length: writers }, async (_, slot) => {
    while (!stopped) {
      const sentAt = performance.now();
      await client.command("set", { key: `key-${slot}`, value: count });
      count += 1;
      longestWriteMs = Math.max(longestWriteMs, performance.now() - sentAt);
    }
  });
  return {
    /** What was written since the last call. */
    reset: () => {
      const now = performance.now();
      const seen = { writesPerSecond: (count * 1000) / (now - since), longestWriteMs };
      count = 0;
      longestWriteMs = 0;
      since = now;
      return seen;
    },
    stop: async () => {
      stopped = true;
      await Promise.all(loops);
    },
  };
}

/** Medians of so many; each in a process that has just begun, as a newcomer's has. */
async function codecCost(rounds: number): Promise<CodecCost> {
  const costs: CodecCost[] = [];
  for (let round = 0; round < rounds; round++) {
    const worker = await startWorker("./ours/codec.js");
    costs.push(await ask<CodecReply>(worker, { type: "measure" }, "codec"));
    await stopWorkers([worker]);
  }
  return {
    encodeMs: median(costs.map(({ encodeMs }) => encodeMs)),
    decodeMs: median(costs.map(({ decodeMs }) => decodeMs)),
  };
}

function costText({ encodeMs, decodeMs }: CodecCost): string {
  return `${encodeMs.toFixed(0)} ms to write and ${decodeMs.toFixed(0)} ms to read it`;
}

function print(result: JoinResult): void {
  const list = (read: (round: JoinRound) => number): string =>
    result.rounds.map((round) => read(round).toFixed(0)).join(", ");
  console.log(
    `a newcomer takes in ${result.mapEntries} map entries ` +
      `(${(result.snapshotBytes / 1e6).toFixed(1)} MB): median ` +
      `${result.enteredMedianMs.toFixed(0)} ms (${list((round) => round.enteredMs)}), with its ` +
      `process's start ${list((round) => round.withProcessMs)} ms; the codec alone takes ` +
      `${costText(result.alone)}, beside the writers ${costText(result.beside)}`,
  );
  console.log(
    `writes/s ${result.writesBefore.toFixed(0)} before, ` +
      `${list((round) => round.writesPerSecond)} meanwhile; longest write ` +
      `${list((round) => round.longestWriteMs)} ms; longest stall of the leader ` +
      `${list((round) => round.leaderStallMs)} ms, of the newcomer ` +
      `${list((round) => round.newcomerStallMs)} ms; leadership ` +
      (result.leadershipLost ? "LOST" : "kept"),
  );
}
