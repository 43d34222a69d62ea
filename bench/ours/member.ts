/**
 * One host with one member, in a process of its own.
 * `--value --id [--listen] [--join] [--data] [--config JSON] [--watch]`.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { fileStorage, startHost } from "../package.js";
import { cpuMs, usage, type Usage } from "../usage.js";
import { values, type ValueName } from "./values.js";

export type MemberRequest =
  | { readonly type: "usage" }
  | { readonly type: "cpu" }
  /** To that member. */
  | { readonly type: "transfer"; readonly to: string }
  /** From here on the event loop is watched. */
  | { readonly type: "watch" }
  | { readonly type: "watched" };
export type CpuReply = { readonly type: "cpu"; readonly cpuMs: number };
export type UsageReply = { readonly type: "usage"; readonly usage: Usage };
export type TransferReply = { readonly type: "transferred"; readonly ms: number };
export type WatchedReply = {
  readonly type: "watched";
  /** The longest time that the event loop was kept waiting since it is watched. */
  readonly longestStallMs: number;
  /** From the call of `host.group()` until the member could be used. */
  readonly enteredMs: number;
};

const { values: options } = parseArgs({
  options: {
    value: { type: "string" },
    id: { type: "string" },
    listen: { type: "string", default: "127.0.0.1:0" },
    join: { type: "string" },
    data: { type: "string" },
    config: { type: "string" },
    watch: { type: "boolean", default: false },
  },
});

const tell = (message: UsageReply | TransferReply | WatchedReply | object): void =>
  void process.send?.(message);
const fail = (error: unknown): void => tell({ type: "error", error: String(error) });

async function main(): Promise<void> {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  if (options.watch) loop.enable();
  const { join, data, config } = options;
  const host = await startHost({
    id: options.id!,
    listen: options.listen,
    ...(data === undefined ? {} : { storage: fileStorage(data) }),
  });
  const enteringAt = performance.now();
  const group = await host.group("bench", values[options.value as ValueName], {
    start: join === undefined ? "create" : { join: join.split(",") },
    ...(config === undefined ? {} : { config: JSON.parse(config) }),
  });
  const enteredMs = performance.now() - enteringAt;
  const transfer = async (to: string): Promise<void> => {
    const since = performance.now();
    await group.transferLeadership(to);
    tell({ type: "transferred", ms: performance.now() - since });
  };
  process.on("message", (request: MemberRequest) => {
    switch (request.type) {
      case "cpu":
        return tell({ type: "cpu", cpuMs: cpuMs() });
      case "usage":
        return tell({ type: "usage", usage: usage() });
      case "transfer":
        return void transfer(request.to).catch(fail);
      case "watch":
        loop.reset();
        return void loop.enable();
      case "watched":
        loop.disable();
        return tell({ type: "watched", longestStallMs: loop.max / 1e6, enteredMs });
      default:
        request satisfies never;
    }
  });
  tell({ type: "ready", address: host.address });
}

process.on("disconnect", () => process.exit(0));
main().catch((error: unknown) => {
  fail(error);
  process.exitCode = 1;
});
