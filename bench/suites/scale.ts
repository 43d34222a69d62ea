/** Costs that must not grow: size of the value, sessions, members; memory and start-up. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { connect } from "../../src/index.js";
import { median } from "../compare.js";
import type { LoadOptions } from "../load.js";
import { bigMap, counter } from "../ours/values.js";
import { ask, type Worker } from "../processes.js";
import { startOurs } from "../systems.js";

type Ratio = { readonly what: string; readonly rounds: readonly number[]; readonly ratio: number };
export type ScaleResult = {
  readonly suite: string;
  readonly ratios: readonly Ratio[];
  readonly idle: unknown;
};

const load: LoadOptions = { outstanding: 64, warmupMs: 500, measureMs: 1500 };

export async function scaleSuite(rounds: number): Promise<ScaleResult> {
  const ratios = [await valueSize(rounds), await liveSessions(rounds), await moreMembers(rounds)];
  for (const one of ratios) console.log(`${one.what}: ${one.ratio.toFixed(2)}`);
  const idle = await idleCosts();
  console.log(`idle: ${JSON.stringify(idle)}`);
  return { suite: "scale", ratios, idle };
}

function ratioOf(what: string, pairs: readonly (readonly [number, number])[]): Ratio {
  const rounds = pairs.map(([big, small]) => big / small);
  return { what, rounds, ratio: median(rounds) };
}

async function valueSize(rounds: number): Promise<Ratio> {
  const small = await startOurs({ value: "bigMap", kind: "map" });
  const big = await startOurs({ value: "bigMap", kind: "map" });
  try {
    const client = connect(bigMap, { group: "bench", hosts: big.hosts, timeoutMs: 60_000 });
    for (let from = 0; from < 1_000_000; from += 20_000) {
      await client.command("fill", { from, to: from + 20_000 });
    }
    await client.close();
    const pairs: [number, number][] = [];
    for (let round = 0; round < rounds; round++) {
      pairs.push([(await big.run(load)).opsPerSecond, (await small.run(load)).opsPerSecond]);
    }
    return ratioOf("commands/s with 1,000,000 entries : with 1,000", pairs);
  } finally {
    await small.stop();
    await big.stop();
  }
}

async function liveSessions(rounds: number): Promise<Ratio> {
  const few = await startOurs();
  const many = await startOurs();
  try {
    // Each of these clients leaves a session behind, as clients that come and go do.
    for (let batch = 0; batch < 100; batch++) {
      await Promise.all(
        Array.from({ length: 100 }, async () => {
          const client = connect(counter, { group: "bench", hosts: many.hosts, timeoutMs: 60_000 });
          await client.command("inc", 1);
          await client.close();
        }),
      );
    }
    const pairs: [number, number][] = [];
    for (let round = 0; round < rounds; round++) {
      pairs.push([(await many.run(load)).opsPerSecond, (await few.run(load)).opsPerSecond]);
    }
    return ratioOf("commands/s with 10,000 live sessions : with 1", pairs);
  } finally {
    await few.stop();
    await many.stop();
  }
}

async function moreMembers(rounds: number): Promise<Ratio> {
  const three = await startOurs();
  const five = await startOurs({ members: 5 });
  try {
    const pairs: [number, number][] = [];
    for (let round = 0; round < rounds; round++) {
      pairs.push([(await five.run(load)).opsPerSecond, (await three.run(load)).opsPerSecond]);
    }
    return ratioOf("commands/s of 5 members : of 3", pairs);
  } finally {
    await three.stop();
    await five.stop();
  }
}

async function idleCosts() {
  const ours = await startOurs();
  try {
    type Status = { memory: NodeJS.MemoryUsage; cpu: NodeJS.CpuUsage };
    const read = (worker: Worker) => ask<Status>(worker, { type: "status" }, "status");
    const before = await read(ours.members[0]!);
    const seconds = 3;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const after = await read(ours.members[0]!);
    const cpuUs = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system;
    const entry = fileURLToPath(new URL("../../src/index.js", import.meta.url));
    const script = `const t=performance.now(),m=process.memoryUsage().rss;await import(${JSON.stringify(`file://${entry}`)});console.log(performance.now()-t,process.memoryUsage().rss-m)`;
    const imports = Array.from({ length: 5 }, () =>
      execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })
        .trim()
        .split(" ")
        .map(Number),
    );
    return {
      memberRssMiB: Math.round(after.memory.rss / 2 ** 20),
      memberIdlePercentOfACore: Math.round((cpuUs / (seconds * 1e6)) * 1000) / 10,
      importMs: Math.round(median(imports.map((one) => one[0]!))),
      importMiB: Math.round(median(imports.map((one) => one[1]!)) / 2 ** 20),
    };
  } finally {
    await ours.stop();
  }
}
