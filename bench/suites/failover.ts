/** How long a retrying client waits: kill -9 of the leader, and a planned transfer. */
import { connect } from "../../src/index.js";
import { median } from "../compare.js";
import { counter } from "../ours/values.js";
import { ask, stopWorkers, type Worker } from "../processes.js";
import { startMember, startOurs, defaults } from "../systems.js";

export type FailoverResult = {
  readonly suite: string;
  readonly settings: string;
  /** Milliseconds without an answer, one for each kill. */
  readonly outagesMs: readonly number[];
  readonly medianMs: number;
  /** electionTimeoutMs x 1.5: the middle of the draw between one and two timeouts. */
  readonly expectedDrawMs: number;
  readonly transfersMs: readonly number[];
};

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

export async function failoverSuite(kills: number): Promise<FailoverResult[]> {
  const results: FailoverResult[] = [];
  for (const [settings, config] of [
    ["default (200/1000)", { heartbeatMs: 200, electionTimeoutMs: 1000 }],
    ["fast (50/150)", { heartbeatMs: 50, electionTimeoutMs: 150 }],
  ] as const) {
    const ours = await startOurs({ config });
    const workers = new Map<string, Worker>();
    for (const member of ours.members) workers.set(member.address, member);
    const outagesMs: number[] = [];
    const transfersMs: number[] = [];
    let number = 3;
    try {
      for (let kill = 0; kill < kills; kill++) {
        const hosts = [...workers.keys()];
        const client = connect(counter, { group: "bench", hosts, timeoutMs: 30_000 });
        const status = async () => client.status();
        await client.command("inc", 1);
        const leaderId = (await status()).leader;
        const leaderAddress = (await status()).members.find((one) => one.id === leaderId)!.address;
        const victim = workers.get(leaderAddress)!;
        const inc = () => client.command("inc", 1);
        outagesMs.push(await outage(inc, () => stopWorkers([victim])));
        workers.delete(leaderAddress);
        number += 1;
        const joined = await startMember(
          { ...defaults, config },
          number,
          [...workers.keys()].join(","),
          null,
        );
        workers.set(joined.address, joined);
        ours.members.push(joined);
        await client.removeMember(leaderId!);
        transfersMs.push(await planned(workers, client));
        await client.close();
      }
    } finally {
      await ours.stop();
    }
    results.push({
      suite: "failover",
      settings,
      outagesMs,
      medianMs: median(outagesMs),
      expectedDrawMs: config.electionTimeoutMs * 1.5,
      transfersMs,
    });
    console.log(
      `${settings}: outage median ${median(outagesMs).toFixed(0)} ms ` +
        `(${outagesMs.map((ms) => ms.toFixed(0)).join(", ")}), transfer median ` +
        `${median(transfersMs).toFixed(1)} ms`,
    );
  }
  return results;
}

async function planned(
  workers: ReadonlyMap<string, Worker>,
  client: {
    status(): Promise<{
      leader: string | null;
      members: readonly { id: string; address: string; state: string }[];
    }>;
  },
): Promise<number> {
  const status = await client.status();
  const leader = status.members.find((one) => one.id === status.leader)!;
  const target = status.members.find((one) => one.id !== leader.id && one.state === "voter")!;
  const message = { type: "transfer", to: target.id };
  const reply = await ask<{ ms: number }>(workers.get(leader.address)!, message, "transferred");
  return reply.ms;
}
