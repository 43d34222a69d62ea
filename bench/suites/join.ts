/** A newcomer takes in a value of a million map entries while clients go on writing. */
import { connect } from "../../src/index.js";
import { median } from "../compare.js";
import { bigMap } from "../ours/values.js";
import { defaults, startMember, startOurs } from "../systems.js";

export type JoinResult = {
  readonly suite: string;
  readonly mapEntries: number;
  readonly joinMs: readonly number[];
  readonly medianMs: number;
  /** Writes per second of 64 clients before and while the newcomer was taken in. */
  readonly writesBefore: number;
  readonly writesDuring: number;
  readonly longestWriteMs: number;
  readonly leadershipLost: boolean;
};

const mapEntries = 1_000_000;
const fillBatch = 20_000;

export async function joinSuite(rounds: number): Promise<JoinResult> {
  const ours = await startOurs({ members: 3, value: "bigMap" });
  const client = connect(bigMap, { group: "bench", hosts: ours.hosts, timeoutMs: 60_000 });
  const joinMs: number[] = [];
  try {
    for (let from = 0; from < mapEntries; from += fillBatch) {
      await client.command("fill", { from, to: from + fillBatch });
    }
    // So that the newcomer gets a snapshot and not the log.
    await client.snapshot({ timeoutMs: 60_000 });
    const termBefore = (await client.status()).term;
    const writer = startWriters(client, 64);
    await writer.run(2000);
    const writesBefore = writer.rate();
    writer.reset();
    for (let round = 0; round < rounds; round++) {
      const since = performance.now();
      const options = { ...defaults, value: "bigMap" } as const;
      const newcomer = await startMember(options, 4 + round, ours.hosts[0]!, null);
      joinMs.push(performance.now() - since);
      ours.members.push(newcomer);
    }
    const writesDuring = writer.rate();
    const { longestMs } = writer;
    await writer.stop();
    const leadershipLost = (await client.status()).term !== termBefore;
    const result: JoinResult = {
      ...{ suite: "join", mapEntries, joinMs, medianMs: median(joinMs), writesBefore },
      ...{ writesDuring, longestWriteMs: longestMs, leadershipLost },
    };
    console.log(
      `join with ${mapEntries} entries: median ${result.medianMs.toFixed(0)} ms (process start ` +
        `included), writes/s ${writesBefore.toFixed(0)} before, ${writesDuring.toFixed(0)} during, ` +
        `longest write ${longestMs.toFixed(0)} ms, leadership ${leadershipLost ? "LOST" : "kept"}`,
    );
    return result;
  } finally {
    await client.close();
    await ours.stop();
  }
}

type BigMapClient = ReturnType<typeof connect<typeof bigMap>>;

function startWriters(client: BigMapClient, outstanding: number) {
  let stopped = false;
  let count = 0;
  let since = performance.now();
  const state = {
    longestMs: 0,
    run: (ms: number) => new Promise((resolve) => setTimeout(resolve, ms)),
    rate: () => (count * 1000) / (performance.now() - since),
    reset: () => {
      count = 0;
      since = performance.now();
      state.longestMs = 0;
    },
    stop: async () => {
      stopped = true;
      await Promise.all(loops);
    },
  };
  const loops = Array.from({ length: outstanding }, async (_, slot) => {
    while (!stopped) {
      const sentAt = performance.now();
      await client.command("set", { key: `key-${slot}`, value: count });
      count += 1;
      state.longestMs = Math.max(state.longestMs, performance.now() - sentAt);
    }
  });
  return state;
}
