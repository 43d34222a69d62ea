/** One host with one member, in a process of its own. `--value --id [--join] [--data] [--config JSON]`. */
import { fileStorage, startHost } from "../../src/index.js";
import { values, type ValueName } from "./values.js";

const args = process.argv.slice(2);
const option = (name: string): string | null => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? null : args[at + 1]!;
};

async function main(): Promise<void> {
  const data = option("data");
  const join = option("join");
  const config = option("config");
  const host = await startHost({
    id: option("id")!,
    listen: option("listen") ?? "127.0.0.1:0",
    ...(data === null ? {} : { storage: fileStorage(data) }),
  });
  const group = await host.group("bench", values[option("value") as ValueName], {
    start: join === null ? "create" : { join: join.split(",") },
    ...(config === null ? {} : { config: JSON.parse(config) }),
  });
  process.on("message", (message: { type: string; to?: string }) => {
    if (message.type === "status") {
      void group.status().then((status) =>
        process.send?.({
          type: "status",
          status,
          memory: process.memoryUsage(),
          cpu: process.cpuUsage(),
        }),
      );
    } else if (message.type === "transfer") {
      const since = performance.now();
      group.transferLeadership(message.to!).then(
        () => process.send?.({ type: "transferred", ms: performance.now() - since }),
        (error: unknown) => process.send?.({ type: "error", error: String(error) }),
      );
    }
  });
  process.send?.({ type: "ready", address: host.address });
}

process.on("disconnect", () => process.exit(0));
main().catch((error: unknown) => {
  process.send?.({ type: "error", error: String(error) });
  process.exitCode = 1;
});
