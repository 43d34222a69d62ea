/** What each member still holds after very many commands: it must neither grow nor creep. */
import { connect } from "../package.js";
import type { UsageReply } from "../ours/member.js";
import { runClosedLoop } from "../load.js";
import { counter } from "../ours/values.js";
import { ask } from "../processes.js";
import { startOurs, type Ours } from "../systems.js";

export type Sample = {
  readonly commands: number;
  /** Of the member that holds most, garbage collected. */
  readonly retainedBytes: number;
  readonly rssBytes: number;
};
export type Retained = {
  readonly samples: readonly Sample[];
  /** The most of the second half of the samples over the most of the first. */
  readonly growth: number;
};

/** The log grows to its limit and is cut, again and again: few samples would compare its chance lengths. */
const sampleCount = 40;
const load = { outstanding: 256, warmupMs: 0, measureMs: 200 };

export async function retained(commands: number): Promise<Retained> {
  const ours = await startOurs();
  const client = connect(counter, { group: "bench", hosts: ours.hosts });
  try {
    const samples: Sample[] = [];
    while (samples.length < sampleCount) {
      // One client, and so one session, all the time: what sessions cost is measured elsewhere.
      await runClosedLoop(() => client.command("inc", 1), load);
      const done = await client.query("get");
      if (done < ((samples.length + 1) * commands) / sampleCount) continue;
      samples.push({ commands: done, ...(await mostHeld(ours)) });
    }
    const half = sampleCount / 2;
    const most = (part: readonly Sample[]): number =>
      Math.max(...part.map((sample) => sample.retainedBytes));
    const growth = most(samples.slice(half)) / most(samples.slice(0, half));
    const steps = samples.map((one) => megabytes(one.retainedBytes).toFixed(1)).join(" ");
    console.log(
      `MB held by a member over ${samples.at(-1)!.commands} commands: ${steps}; ` +
        `rss ${megabytes(samples.at(-1)!.rssBytes).toFixed(0)} MB`,
    );
    return { samples, growth };
  } finally {
    await client.close();
    await ours.stop();
  }
}

async function mostHeld(ours: Ours) {
  const held = await Promise.all(
    ours.members.map((member) => ask<UsageReply>(member, { type: "usage" }, "usage")),
  );
  return {
    retainedBytes: Math.max(...held.map(({ usage }) => usage.retainedBytes)),
    rssBytes: Math.max(...held.map(({ usage }) => usage.rssBytes)),
  };
}

function megabytes(bytes: number): number {
  return bytes / 1e6;
}
