/** How fast a durable member is back: a million small commands without a snapshot. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/index.js";
import { median } from "../compare.js";
import { counter } from "../ours/values.js";
import { stopWorkers } from "../processes.js";
import { defaults, startMember, type OursOptions } from "../systems.js";

export type RecoveryResult = {
  readonly suite: string;
  readonly commands: number;
  readonly restartMs: readonly number[];
  readonly medianMs: number;
  readonly emptyRestartMs: number;
};

const commands = 1_000_000;
const outstanding = 2048;

export async function recoverySuite(rounds: number): Promise<RecoveryResult> {
  const dir = await mkdtemp(join(tmpdir(), "rafted-recovery-"));
  const options: OursOptions = {
    ...defaults,
    durable: true,
    // No snapshot within a million small commands.
    config: {
      minSnapshotLogBytes: 2 ** 32 - 1,
      maxSnapshotLogBytes: 2 ** 33,
      maxUncommittedBytes: 2 ** 28,
    },
  };
  const restartMs: number[] = [];
  let emptyRestartMs: number;
  try {
    const empty = await startMember(options, 2, null, dir);
    await stopWorkers([empty]);
    emptyRestartMs = await restart(options, 2, dir);
    const member = await startMember(options, 1, null, dir);
    const client = connect(counter, { group: "bench", hosts: [member.address], timeoutMs: 60_000 });
    let sent = 0;
    await Promise.all(
      Array.from({ length: outstanding }, async () => {
        while (sent < commands) {
          sent += 1;
          await client.command("inc", 1);
        }
      }),
    );
    await client.close();
    await stopWorkers([member]);
    for (let round = 0; round < rounds; round++) restartMs.push(await restart(options, 1, dir));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  const medianMs = median(restartMs);
  console.log(
    `restart from ${commands} commands: median ${medianMs.toFixed(0)} ms ` +
      `(${restartMs.map((ms) => ms.toFixed(0)).join(", ")}), with an empty log ${emptyRestartMs.toFixed(0)} ms`,
  );
  return { suite: "recovery", commands, restartMs, medianMs, emptyRestartMs };
}

/** From the start of the process until it leads and answers; killed again afterwards. */
async function restart(options: OursOptions, number: number, dir: string): Promise<number> {
  const since = performance.now();
  const member = await startMember(options, number, null, dir);
  const client = connect(counter, { group: "bench", hosts: [member.address], timeoutMs: 60_000 });
  await client.query("get");
  const took = performance.now() - since;
  await client.close();
  await stopWorkers([member]);
  return took;
}
