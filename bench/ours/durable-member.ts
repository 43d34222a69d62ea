/**
 * One host with one durable member, in a process of its own, that can be closed in order and says how
 * long its event loop was kept waiting. `--value counter|archive --id --data [--join] [--config JSON]`.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { fileStorage, startHost } from "../package.js";
import { cpuMs } from "../usage.js";
import { archive } from "./archive.js";
import { counter } from "./values.js";

export type Asked = { readonly type: "usage" | "watch" | "watched" | "close" };
export type Usage = {
  readonly type: "usage";
  readonly cpuMs: number;
  readonly peakRssBytes: number;
};
/** Since `watch`. */
export type Watched = { readonly type: "watched"; readonly longestStallMs: number };

const { values: options } = parseArgs({
  options: {
    value: { type: "string" },
    id: { type: "string" },
    data: { type: "string" },
    join: { type: "string" },
    config: { type: "string", default: "{}" },
  },
});

const delays = monitorEventLoopDelay({ resolution: 1 });
const tell = (message: object): void => void process.send?.(message);

async function main(): Promise<void> {
  const host = await startHost({
    id: options.id!,
    listen: "127.0.0.1:0",
    storage: fileStorage(options.data!),
  });
  const enter = {
    start: options.join === undefined ? ("create" as const) : { join: options.join.split(",") },
    config: JSON.parse(options.config),
  };
  await (options.value === "archive"
    ? host.group("bench", archive, enter)
    : host.group("bench", counter, enter));
  process.on("message", ({ type }: Asked) => {
    switch (type) {
      case "usage": {
        const peakRssBytes = process.resourceUsage().maxRSS * 1024;
        return tell({ type: "usage", cpuMs: cpuMs(), peakRssBytes });
      }
      case "watch":
        delays.enable();
        delays.reset();
        return tell({ type: "watching" });
      case "watched":
        return tell({ type: "watched", longestStallMs: delays.max / 1e6 });
      case "close":
        return void host.close().then(() => process.disconnect());
    }
  });
  tell({ type: "ready", address: host.address });
}

process.on("disconnect", () => process.exit());
main().catch((error: unknown) => {
  tell({ type: "error", error: String(error) });
  process.exitCode = 1;
});
