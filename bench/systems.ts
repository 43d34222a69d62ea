/** What is measured: our group, and the ceiling, as things that can be started and loaded. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RaftError } from "./package.js";
import { LoadClient } from "./load-process.js";
import type { LoadOptions, LoadResult } from "./load.js";
import type { CallKind, OursTarget } from "./ours/client.js";
import type { ValueName } from "./ours/values.js";
import { startWorker, stopWorkers, type Worker } from "./processes.js";

export type System = {
  readonly name: string;
  run(load: LoadOptions): Promise<LoadResult>;
  stop(): Promise<void>;
};

/** A directory of its own on the disk that is measured, or null. */
export async function scratch(durable: boolean): Promise<string | null> {
  return durable ? mkdtemp(join(tmpdir(), "rafted-bench-")) : null;
}

export async function discard(dir: string | null): Promise<void> {
  if (dir !== null) await rm(dir, { recursive: true, force: true });
}

export const oursName = "rafted-value";
export const ceilingName = "ceiling";

export type CeilingOptions = {
  readonly durable: boolean;
  readonly bodyBytes: number;
};

export async function startCeiling(options: CeilingOptions): Promise<System> {
  const { durable, bodyBytes } = options;
  const dir = await scratch(durable);
  const args = dir === null ? [] : ["--data", dir];
  const followers = await Promise.all([1, 2].map(() => startWorker("./ceiling/server.js", args)));
  const addresses = followers.map((follower) => follower.address).join(",");
  const leader = await startWorker("./ceiling/server.js", [...args, "--followers", addresses]);
  const client = new LoadClient<{ address: string; bodyBytes: number }>("./ceiling/client.js");
  return {
    name: ceilingName,
    run: (load) => client.run({ address: leader.address, bodyBytes }, load),
    async stop() {
      await client.stop();
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
  /** From its start on, how long its event loop is kept waiting. */
  readonly watch: boolean;
};

export type Ours = System & {
  readonly members: Worker[];
  readonly hosts: readonly string[];
  /** Another kind of call on the same members. */
  load(kind: CallKind, load: LoadOptions): Promise<LoadResult>;
};

export const defaults: OursOptions = {
  name: oursName,
  members: 3,
  value: "counter",
  kind: "command",
  bodyBytes: 0,
  durable: false,
  config: {},
  watch: false,
};

export async function startMember(
  options: OursOptions,
  number: number,
  join: string | null,
  dir: string | null,
): Promise<Worker> {
  return startWorker("./ours/member.js", [
    ...["--id", `host${number}`, "--value", options.value],
    ...(options.watch ? ["--watch"] : []),
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
  const clients = new Map<CallKind, LoadClient<OursTarget>>();
  const load = async (kind: CallKind, loadOptions: LoadOptions): Promise<LoadResult> => {
    const client = clients.get(kind) ?? new LoadClient<OursTarget>("./ours/client.js");
    clients.set(kind, client);
    return client.run({ hosts, kind, bodyBytes: options.bodyBytes }, loadOptions);
  };
  return {
    name: options.name,
    members,
    hosts,
    load,
    run: (loadOptions) => load(options.kind, loadOptions),
    async stop() {
      for (const client of clients.values()) await client.stop();
      await stopWorkers(members);
      await discard(dir);
    },
  };
}

type Remover = { removeMember(id: string): Promise<unknown> };

/** A newcomer's promotion may still be under way: one change at a time. */
export async function removeWhenSettled(client: Remover, id: string): Promise<void> {
  const until = performance.now() + 30_000;
  for (;;) {
    try {
      await client.removeMember(id);
      return;
    } catch (error) {
      const passing = error instanceof RaftError && error.code === "uncommittedMembershipChange";
      if (!passing || performance.now() >= until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
