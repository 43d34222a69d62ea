/** How long a retrying client waits: kill -9 of the leader, and a planned transfer. */
import { connect, type GroupStatus } from "../package.js";
import { median } from "../compare.js";
import type { TransferReply } from "../ours/member.js";
import { counter } from "../ours/values.js";
import { ask, stopWorkers, type Worker } from "../processes.js";
import { defaults, removeWhenSettled, startMember, startOurs } from "../systems.js";

export type FailoverSettings = {
  readonly name: "default" | "fast";
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  /** Milliseconds without an answer, one for each kill. */
  readonly outagesMs: readonly number[];
  readonly medianMs: number;
  /** The middle of what a follower draws: between one and two election timeouts. */
  readonly expectedDrawMs: number;
  /** The median in expected draws. */
  readonly ratio: number;
  /** Leadership handed over on request, as the leader sees it. */
  readonly transfersMs: readonly number[];
  readonly transferMedianMs: number;
};
export type FailoverResult = {
  readonly suite: string;
  readonly settings: readonly FailoverSettings[];
};

const allSettings = [
  { name: "default", heartbeatMs: 200, electionTimeoutMs: 1000 },
  { name: "fast", heartbeatMs: 50, electionTimeoutMs: 150 },
] as const;

/** The longest gap between two answers of a client that sends the next command at each answer. */
async function outage(inc: () => Promise<unknown>, kill: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let over = false;
  const loop = (async () => {
    for (let after = 0; after < 50 || !over; after += over ? 1 : 0) {
      await inc();
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }
  })();
  await kill();
  over = true;
  await loop;
  return longest;
}

export async function failoverSuite(kills: number): Promise<FailoverResult> {
  const settings: FailoverSettings[] = [];
  for (const { name, ...config } of allSettings) {
    const { outagesMs, transfersMs } = await killAndTransfer(config, kills);
    const medianMs = median(outagesMs);
    const transferMedianMs = median(transfersMs);
    const expectedDrawMs = config.electionTimeoutMs * 1.5;
    const ratio = medianMs / expectedDrawMs;
    console.log(
      `${name} (${config.heartbeatMs}/${config.electionTimeoutMs}): outage median ` +
        `${medianMs.toFixed(0)} ms (${outagesMs.map((ms) => ms.toFixed(0)).join(", ")}), ` +
        `${ratio.toFixed(2)} of the expected draw of ${expectedDrawMs} ms; transfer median ` +
        `${transferMedianMs.toFixed(1)} ms (${transfersMs.map((ms) => ms.toFixed(1)).join(", ")})`,
    );
    settings.push({
      ...{ name, ...config, outagesMs, medianMs, expectedDrawMs, ratio },
      ...{ transfersMs, transferMedianMs },
    });
  }
  return { suite: "failover", settings };
}

/** Kill the leader, let a newcomer take its place, hand leadership over: once for each kill. */
async function killAndTransfer(config: Record<string, number>, kills: number) {
  const ours = await startOurs({ config });
  const workers = new Map<string, Worker>();
  for (const member of ours.members) workers.set(member.address, member);
  const outagesMs: number[] = [];
  const transfersMs: number[] = [];
  try {
    for (let kill = 0; kill < kills; kill++) {
      const hosts = [...workers.keys()];
      const client = connect(counter, { group: "bench", hosts, timeoutMs: 30_000 });
      await client.command("inc", 1);
      const { leader, members } = await client.status();
      const { address } = members.find((member) => member.id === leader)!;
      const victim = workers.get(address)!;
      const inc = (): Promise<number> => client.command("inc", 1);
      outagesMs.push(await outage(inc, () => stopWorkers([victim])));
      workers.delete(address);
      const others = [...workers.keys()].join(",");
      const newcomer = await startMember({ ...defaults, config }, 4 + kill, others, null);
      workers.set(newcomer.address, newcomer);
      ours.members.push(newcomer);
      await removeWhenSettled(client, leader!);
      transfersMs.push(await planned(workers, client));
      await client.close();
    }
  } finally {
    await ours.stop();
  }
  return { outagesMs, transfersMs };
}

type StatusSource = { status(): Promise<GroupStatus> };

async function planned(
  workers: ReadonlyMap<string, Worker>,
  client: StatusSource,
): Promise<number> {
  const status = await client.status();
  const leader = status.members.find((one) => one.id === status.leader)!;
  const target = status.members.find((one) => one.id !== leader.id && one.state === "voter")!;
  const message = { type: "transfer", to: target.id };
  const reply = await ask<TransferReply>(workers.get(leader.address)!, message, "transferred");
  return reply.ms;
}
