/**
 * What durability costs when it matters: how fast a member is back with a million small commands and no
 * snapshot, and how long a member is kept from its work while a big value is written to a snapshot.
 */
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type GroupStatus } from "../package.js";
import { median } from "../compare.js";
import { archive } from "../ours/archive.js";
import type { Usage, Watched } from "../ours/durable-member.js";
import { counter } from "../ours/values.js";
import { ask, startWorker, stopWorkers, type Worker } from "../processes.js";

type Restart = {
  /** From the start of the process until a linearizable query is answered. */
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssMiB: number;
};

export type RecoveryResult = {
  readonly suite: string;
  readonly commands: number;
  readonly logMiB: number;
  readonly afterKill: readonly Restart[];
  readonly afterClose: readonly Restart[];
  readonly empty: Restart;
  readonly snapshot: SnapshotResult;
};

type SnapshotResult = {
  readonly mapEntries: number;
  readonly snapshotMiB: number;
  readonly rounds: readonly SnapshotRound[];
  /** The longest stall of the leader under the same writer, for as long, without a snapshot. */
  readonly stallWithoutMs: number;
  readonly leadershipKept: boolean;
};

type SnapshotRound = {
  readonly tookMs: number;
  readonly longestStallMs: number;
  readonly longestWriteMs: number;
  readonly writesPerSecond: number;
};

const commands = 1_000_000;
const outstanding = 2048;
const mapEntries = 1_000_000;
const callTimeoutMs = 60_000;
const mebi = 2 ** 20;
/** No snapshot but those that are asked for. */
const config = {
  minSnapshotLogBytes: 2 ** 32 - 1,
  maxSnapshotLogBytes: 2 ** 33,
  maxUncommittedBytes: 2 ** 28,
};

type ValueName = "counter" | "archive";

function start(value: ValueName, dir: string, id: string, peer: string | null): Promise<Worker> {
  return startWorker("./ours/durable-member.js", [
    ...["--value", value, "--id", id, "--data", join(dir, id)],
    ...(peer === null ? ["--config", JSON.stringify(config)] : ["--join", peer]),
  ]);
}

async function close(worker: Worker): Promise<void> {
  const exited = once(worker.process, "exit");
  worker.process.send({ type: "close" });
  await exited;
}

export async function recoverySuite(rounds: number): Promise<RecoveryResult> {
  const dir = await mkdtemp(join(tmpdir(), "rafted-recovery-"));
  try {
    const restarts = await measureRestarts(dir, rounds);
    const snapshot = await measureSnapshots(dir, rounds);
    return { suite: "recovery", commands, ...restarts, snapshot };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

// ---------------------------------------------------------------------------------------------
// Restarts

async function measureRestarts(dir: string, rounds: number) {
  await close(await start("counter", dir, "empty", null));
  const empty = await restart(dir, "empty", stopWorkers);
  await fillLog(dir);
  const afterKill: Restart[] = [];
  const afterClose: Restart[] = [];
  for (let round = 0; round < rounds; round++) {
    // It was killed before, with all its commands in the log: now it is closed, then killed again.
    afterKill.push(await restart(dir, "full", ([worker]) => close(worker!)));
    afterClose.push(await restart(dir, "full", stopWorkers));
  }
  const logMiB = (await sizeOf(join(dir, "full"))) / mebi;
  console.log(
    `restart with ${commands} commands in a log of ${logMiB.toFixed(0)} MiB, no snapshot:`,
  );
  console.log(`  after kill -9      ${describe(afterKill)}`);
  console.log(`  after a clean close ${describe(afterClose)}`);
  console.log(`  with an empty log   ${describe([empty])}`);
  return { logMiB, afterKill, afterClose, empty };
}

function describe(restarts: readonly Restart[]): string {
  const wall = restarts.map(({ wallMs }) => wallMs);
  const each = restarts.length === 1 ? "" : ` (${wall.map((ms) => ms.toFixed(0)).join(", ")})`;
  const cpu = median(restarts.map(({ cpuMs }) => cpuMs));
  const rss = Math.max(...restarts.map(({ peakRssMiB }) => peakRssMiB));
  return (
    `${median(wall).toFixed(0)} ms${each}, ${cpu.toFixed(0)} ms of CPU, ` +
    `peak RSS ${rss.toFixed(0)} MiB`
  );
}

/** Leaves the member killed. */
async function fillLog(dir: string): Promise<void> {
  const member = await start("counter", dir, "full", null);
  const client = connect(counter, {
    ...{ group: "bench", hosts: [member.address], timeoutMs: callTimeoutMs },
  });
  let sent = 0;
  const lane = async (): Promise<void> => {
    while (sent < commands) {
      sent += 1;
      await client.command("inc", 1);
    }
  };
  await Promise.all(Array.from({ length: outstanding }, lane));
  await client.close();
  await stopWorkers([member]);
}

async function restart(
  dir: string,
  id: string,
  end: (workers: readonly Worker[]) => Promise<void>,
): Promise<Restart> {
  const since = performance.now();
  const member = await start("counter", dir, id, null);
  const client = connect(counter, {
    ...{ group: "bench", hosts: [member.address], timeoutMs: callTimeoutMs },
  });
  const sum = await client.query("get");
  const wallMs = performance.now() - since;
  const { cpuMs, peakRssBytes } = await ask<Usage>(member, { type: "usage" }, "usage");
  await client.close();
  await end([member]);
  const expected = id === "empty" ? 0 : commands;
  if (sum !== expected) throw new Error(`came back with ${sum} of ${expected} commands`);
  return { wallMs, cpuMs, peakRssMiB: peakRssBytes / mebi };
}

async function sizeOf(dir: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(dir)) bytes += (await stat(join(dir, name))).size;
  return bytes;
}

// ---------------------------------------------------------------------------------------------
// Snapshots of a big value

type ArchiveClient = ReturnType<typeof connect<typeof archive>>;

async function measureSnapshots(dir: string, rounds: number): Promise<SnapshotResult> {
  const first = await start("archive", dir, "first", null);
  const members = [first];
  for (const id of ["second", "third"]) {
    members.push(await start("archive", dir, id, first.address));
  }
  const client = connect(archive, {
    ...{ group: "bench", hosts: members.map(({ address }) => address), timeoutMs: callTimeoutMs },
  });
  try {
    await client.command("fill", mapEntries);
    // To fill the map is a stall of its own, on all members: leadership may move, and must settle.
    const before = await settle(members, client);
    const { address } = before.members.find(({ id }) => id === before.leader)!;
    const leader = members.find((member) => member.address === address)!;
    const stallWithoutMs = await quietStall(leader, client);
    const taken: SnapshotRound[] = [];
    let sizeBytes = 0;
    for (let round = 0; round < rounds; round++) {
      const one = await takeSnapshot(leader, client);
      sizeBytes = one.sizeBytes;
      taken.push(one);
    }
    const after = await client.status();
    const leadershipKept = before.term === after.term && before.leader === after.leader;
    const result = {
      ...{ mapEntries, snapshotMiB: sizeBytes / mebi, rounds: taken, stallWithoutMs },
      leadershipKept,
    };
    tellSnapshots(result);
    return result;
  } finally {
    await client.close();
    await stopWorkers(members);
  }
}

function tellSnapshots({ rounds, ...result }: SnapshotResult): void {
  const worst = (of: (round: SnapshotRound) => number) => Math.max(...rounds.map(of)).toFixed(0);
  console.log(
    `snapshot of a map of ${result.mapEntries} entries (${result.snapshotMiB.toFixed(0)} MiB) on the ` +
      `leader of three durable members under a writing client: ` +
      `${median(rounds.map(({ tookMs }) => tookMs)).toFixed(0)} ms; longest stall of its event loop ` +
      `${worst(({ longestStallMs }) => longestStallMs)} ms (without a snapshot ` +
      `${result.stallWithoutMs.toFixed(0)} ms), longest write ` +
      `${worst(({ longestWriteMs }) => longestWriteMs)} ms, leadership ` +
      `${result.leadershipKept ? "kept" : "LOST"}`,
  );
}

const quietMs = 3000;
const lookEveryMs = 20;

/** Resolves when all members have applied what is committed now, and follow one leader of one term. */
async function settle(members: readonly Worker[], client: ArchiveClient): Promise<GroupStatus> {
  await client.query("size");
  const { commitIndex } = await client.status();
  for (;;) {
    const seen = await Promise.all(members.map((member) => statusAt(member, client)));
    const { leader, term } = seen[0]!;
    const settled = seen.every(
      (one) => one.lastApplied >= commitIndex && one.term === term && one.leader === leader,
    );
    if (settled && leader !== null) return client.status();
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

async function statusAt({ address }: Worker, client: ArchiveClient): Promise<GroupStatus> {
  const options = { host: address, timeoutMs: callTimeoutMs };
  return (await client.admin("status", null, options)) as GroupStatus;
}

async function quietStall(leader: Worker, client: ArchiveClient): Promise<number> {
  const writer = startWriter(client);
  await ask(leader, { type: "watch" }, "watching");
  await new Promise((resolve) => setTimeout(resolve, quietMs));
  const { longestStallMs } = await ask<Watched>(leader, { type: "watched" }, "watched");
  await writer.stop();
  return longestStallMs;
}

async function takeSnapshot(leader: Worker, client: ArchiveClient) {
  const writer = startWriter(client);
  await ask(leader, { type: "watch" }, "watching");
  const since = performance.now();
  const options = { host: leader.address, timeoutMs: callTimeoutMs };
  const { sizeBytes } = (await client.admin("snapshot", null, options)) as { sizeBytes: number };
  const tookMs = performance.now() - since;
  const { longestStallMs } = await ask<Watched>(leader, { type: "watched" }, "watched");
  const { longestWriteMs, writesPerSecond } = await writer.stop();
  return { sizeBytes, tookMs, longestStallMs, longestWriteMs, writesPerSecond };
}

/** One write after the other. */
function startWriter(client: ArchiveClient) {
  const since = performance.now();
  let going = true;
  let writes = 0;
  let longestWriteMs = 0;
  const writing = (async () => {
    while (going) {
      const sentAt = performance.now();
      await client.command("write");
      writes += 1;
      longestWriteMs = Math.max(longestWriteMs, performance.now() - sentAt);
    }
  })();
  return {
    async stop() {
      going = false;
      await writing;
      return { longestWriteMs, writesPerSecond: (writes * 1000) / (performance.now() - since) };
    },
  };
}
