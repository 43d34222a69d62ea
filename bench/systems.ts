/** What is measured: our group, and the ceiling, as things that can be started and loaded. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadOptions, LoadResult } from "./load.js";
import { ask, startWorker, stopWorkers, type Worker } from "./processes.js";
import type { CallKind } from "./ours/client.js";
import type { ValueName } from "./ours/values.js";

export type System = {
  readonly name: string;
  run(load: LoadOptions): Promise<LoadResult>;
  stop(): Promise<void>;
};

async function scratch(durable: boolean): Promise<string | null> {
  return durable ? mkdtemp(join(tmpdir(), "rafted-bench-")) : null;
}

async function discard(dir: string | null): Promise<void> {
  if (dir !== null) await rm(dir, { recursive: true, force: true });
}

export async function startCeiling(options: {
  durable: boolean;
  bodyBytes: number;
}): Promise<System> {
  const dir = await scratch(options.durable);
  const data = dir === null ? [] : ["--data", dir];
  const followers = await Promise.all([1, 2].map(() => startWorker("./ceiling/server.js", data)));
  const addresses = followers.map((follower) => follower.address).join(",");
  const leader = await startWorker("./ceiling/server.js", [...data, "--followers", addresses]);
  return {
    name: options.durable ? "ceiling, durable" : "ceiling",
    async run(load) {
      const client = await startWorker("./ceiling/client.js");
      const { bodyBytes } = options;
      const start = { type: "start", address: leader.address, bodyBytes, load };
      const { result } = await ask<{ result: LoadResult }>(client, start, "result");
      await stopWorkers([client]);
      return result;
    },
    async stop() {
      await stopWorkers([leader, ...followers]);
      await discard(dir);
    },
  };
}

export type OursOptions = {
  readonly name: string;
  readonly members: number;
  readonly value: ValueName;
  readonly kind: CallKind;
  readonly bodyBytes: number;
  readonly durable: boolean;
  readonly config: Record<string, number>;
};

export type Ours = System & {
  readonly members: Worker[];
  readonly hosts: readonly string[];
  /** Another kind of call on the same members. */
  load(kind: CallKind, load: LoadOptions): Promise<LoadResult>;
};

export const defaults: OursOptions = {
  name: "rafted-value",
  members: 3,
  value: "counter",
  kind: "command",
  bodyBytes: 0,
  durable: false,
  config: {},
};

export async function startMember(
  options: OursOptions,
  number: number,
  join: string | null,
  dir: string | null,
): Promise<Worker> {
  return startWorker("./ours/member.js", [
    ...["--id", `host${number}`, "--value", options.value],
    ...(join === null ? [] : ["--join", join]),
    ...(dir === null ? [] : ["--data", `${dir}/host${number}`]),
    ...(Object.keys(options.config).length === 0 || join !== null
      ? []
      : ["--config", JSON.stringify(options.config)]),
  ]);
}

export async function startOurs(change: Partial<OursOptions> = {}): Promise<Ours> {
  const options = { ...defaults, ...change };
  const dir = await scratch(options.durable);
  const members = [await startMember(options, 1, null, dir)];
  for (let number = 2; number <= options.members; number++) {
    members.push(await startMember(options, number, members[0]!.address, dir));
  }
  const hosts = members.map((member) => member.address);
  const load = async (kind: CallKind, loadOptions: LoadOptions): Promise<LoadResult> => {
    const client = await startWorker("./ours/client.js");
    const { bodyBytes } = options;
    const start = { type: "start", hosts, kind, bodyBytes, load: loadOptions };
    const { result } = await ask<{ result: LoadResult }>(client, start, "result");
    await stopWorkers([client]);
    return result;
  };
  return {
    name: options.name,
    members,
    hosts,
    load,
    run: (loadOptions) => load(options.kind, loadOptions),
    async stop() {
      await stopWorkers(members);
      await discard(dir);
    },
  };
}
