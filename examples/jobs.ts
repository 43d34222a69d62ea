/**
 * Work for many workers: a job is put in once, however often its producer says so, and taken by one worker at a time. A worker that
 * does not finish in time loses the job to another one, and its late word about it counts for nothing.
 */
import { connect, defineValue } from "rafted-value";
import { addressesOf, closeAll, loseTheLeader, startThreeHosts } from "./three-hosts.js";

export type Job = { readonly id: number; readonly work: string };
export type Taken = { readonly job: Job; readonly attempt: number };

type Held = Taken & { readonly untilMs: number };
type Jobs = {
  readonly lastId: number;
  readonly waiting: readonly { readonly job: Job; readonly attempts: number }[];
  readonly held: readonly Held[];
};

/** Pure: every handler returns a new value and leaves the old one alone. */
export const jobs = defineValue({
  name: "jobs",
  version: 1,
  initial: (): Jobs => ({ lastId: 0, waiting: [], held: [] }),
  commands: {
    add: (v, work: string) => {
      const job: Job = { id: v.lastId + 1, work };
      const value = { ...v, lastId: job.id, waiting: [...v.waiting, { job, attempts: 0 }] };
      return { reply: job.id, value };
    },
    /** The next job, or null. First those whose workers took too long are put back, oldest first. */
    take: (v, forMs: number, { timeMs }) => {
      const late = v.held.filter(({ untilMs }) => untilMs <= timeMs);
      const back = late.map(({ job, attempt }) => ({ job, attempts: attempt }));
      const [next, ...waiting] = [...back, ...v.waiting];
      const kept = v.held.filter(({ untilMs }) => untilMs > timeMs);
      if (next === undefined) return { reply: null, value: v };
      const taken: Taken = { job: next.job, attempt: next.attempts + 1 };
      const held = [...kept, { ...taken, untilMs: timeMs + forMs }];
      return { reply: taken, value: { ...v, waiting, held } };
    },
    /** True if the job was this attempt's to finish. */
    done: (v, arg: { readonly id: number; readonly attempt: number }) => {
      const held = v.held.filter(
        ({ job, attempt }) => job.id !== arg.id || attempt !== arg.attempt,
      );
      return { reply: held.length < v.held.length, value: { ...v, held } };
    },
  },
  queries: {
    counts: (v) => ({ added: v.lastId, waiting: v.waiting.length, held: v.held.length }),
  },
});

export async function main(say: (line: string) => void): Promise<void> {
  const members = await startThreeHosts(jobs, { group: "jobs" });
  const hosts = addressesOf(members);
  const producer = connect(jobs, { group: "jobs", hosts });
  const worker = connect(jobs, { group: "jobs", hosts });
  try {
    for (const order of ["order-1", "order-2", "order-3"]) {
      // With an id of its own a command is applied once, also if another process says it again.
      const id = await producer.command("add", `pack ${order}`, { id: order });
      const again = await worker.command("add", `pack ${order}`, { id: order });
      say(`${order} is job ${id}, and said again it is job ${again}`);
    }
    // The first worker takes a job for a moment, and is never heard of again.
    const lost = (await worker.command("take", 1))!;
    say(`job ${lost.job.id} was taken by a worker that died, attempt ${lost.attempt}`);
    await loseTheLeader(members);
    const finished: string[] = [];
    for (;;) {
      const taken = await worker.command("take", 60_000);
      if (taken !== null) {
        await worker.command("done", { id: taken.job.id, attempt: taken.attempt });
        finished.push(`${taken.job.work}, attempt ${taken.attempt}`);
      } else if ((await worker.query("counts")).held === 0) break;
    }
    say(`the leader was lost; done: ${finished.sort().join("; ")}`);
    const { id } = lost.job;
    const late = await producer.command("done", { id, attempt: lost.attempt });
    say(`the dead worker's word about job ${id}, late: ${late}`);
    const { added, waiting, held } = await producer.query("counts");
    say(`${added} added, ${waiting} waiting, ${held} held`);
  } finally {
    await Promise.all([producer.close(), worker.close()]);
    await closeAll(members);
  }
}
