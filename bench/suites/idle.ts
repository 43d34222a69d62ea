/** What the library costs while nothing happens: a member, a thousand groups, its import. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median } from "../compare.js";
import type { CpuReply, UsageReply } from "../ours/member.js";
import { ask, startWorker, stopWorkers, type Worker } from "../processes.js";
import { startOurs } from "../systems.js";
import type { Usage } from "../usage.js";

const groups = 1000;
const settleMs = 2000;
/** V8 gives back the room that opening them took once little is allocated for a while. */
const restMs = 25_000;
const watchMs = 8000;
/** Longer, so that one collection of garbage is a part of what is seen and not most of it. */
const watchGroupsMs = 16_000;
const imports = 7;

const usageOf = async (worker: Worker): Promise<Usage> =>
  (await ask<UsageReply>(worker, { type: "usage" }, "usage")).usage;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Percent of one core over a while. */
async function idlePercent(workers: readonly Worker[], forMs: number): Promise<number[]> {
  const read = (): Promise<CpuReply[]> =>
    Promise.all(workers.map((worker) => ask<CpuReply>(worker, { type: "cpu" }, "cpu")));
  const before = await read();
  await wait(forMs);
  const after = await read();
  return after.map(({ cpuMs }, at) => (100 * (cpuMs - before[at]!.cpuMs)) / forMs);
}

/** The leader of a group of three that nobody asks anything. */
export async function idleMember() {
  const ours = await startOurs();
  try {
    await wait(settleMs);
    const [percent] = await idlePercent([ours.members[0]!], watchMs);
    const { rssBytes } = await usageOf(ours.members[0]!);
    const result = { rssBytes, percentOfACore: percent! };
    console.log(
      `an idle member: ${(rssBytes / 1e6).toFixed(0)} MB rss, ${percent!.toFixed(1)} % of a core`,
    );
    return result;
  } finally {
    await ours.stop();
  }
}

/** A thousand groups on three hosts: what they add to a host without any. While they come to rest, `meanwhile` is done. */
export async function idleGroups<T>(meanwhile: () => Promise<T>) {
  const hosts = await Promise.all(
    [1, 2, 3].map((number) => startWorker("./ours/groups-host.js", ["--id", `host${number}`])),
  );
  try {
    const empty = await Promise.all(hosts.map(usageOf));
    const since = performance.now();
    for (const host of hosts) {
      const join = host === hosts[0] ? null : hosts[0]!.address;
      await ask(host, { type: "open", count: groups, join }, "opened");
    }
    const openedMs = performance.now() - since;
    const [done] = await Promise.all([meanwhile(), wait(restMs)]);
    const percents = await idlePercent(hosts, watchGroupsMs);
    await wait(restMs);
    const full = await Promise.all(hosts.map(usageOf));
    const added = (read: (usage: Usage) => number): number[] =>
      full.map((usage, at) => read(usage) - read(empty[at]!));
    const result = {
      ...{ groups, openedMs, percentsOfACore: percents },
      addedRssBytes: added((usage) => usage.rssBytes),
      addedRetainedBytes: added((usage) => usage.retainedBytes),
    };
    const list = (values: readonly number[]): string =>
      values.map((value) => value.toFixed(1)).join(", ");
    console.log(
      `${groups} idle groups on three hosts (opened in ${(openedMs / 1000).toFixed(1)} s): ` +
        `${list(percents)} % of a core, ` +
        `${list(result.addedRssBytes.map((bytes) => bytes / 1e6))} MB of rss added, ` +
        `${list(result.addedRetainedBytes.map((bytes) => bytes / 1e6))} MB held`,
    );
    return { done, idleGroups: result };
  } finally {
    await stopWorkers(hosts);
  }
}

/** What `import "rafted-value"` takes in a process of its own: of the package as it is published. */
export function importCost() {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const script = `
    const since = performance.now(), before = process.memoryUsage().rss;
    await import("rafted-value");
    console.log(performance.now() - since, process.memoryUsage().rss - before);`;
  const runs = Array.from({ length: imports }, () =>
    execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: root,
      encoding: "utf8",
    })
      .trim()
      .split(" ")
      .map(Number),
  );
  const ms = median(runs.map((run) => run[0]!));
  const rssBytes = median(runs.map((run) => run[1]!));
  console.log(`import: ${ms.toFixed(0)} ms, ${(rssBytes / 1e6).toFixed(1)} MB`);
  return { ms, rssBytes };
}
