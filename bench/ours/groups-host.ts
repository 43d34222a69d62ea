/** A host without groups that opens any number of them when told: `--id`. */
import { parseArgs } from "node:util";
import { startHost } from "../package.js";
import { cpuMs, usage } from "../usage.js";
import type { CpuReply, UsageReply } from "./member.js";
import { counter } from "./values.js";

export type GroupsRequest =
  | { readonly type: "usage" }
  | { readonly type: "cpu" }
  /** Created, or joined through that address; `group-0` and so on. */
  | { readonly type: "open"; readonly count: number; readonly join: string | null };

const { values: options } = parseArgs({ options: { id: { type: "string" } } });
const atATime = 50;
const patienceMs = 60_000;

const host = await startHost({ id: options.id!, listen: "127.0.0.1:0" });

async function open(count: number, join: string | null): Promise<void> {
  const start = join === null ? ("create" as const) : { join: [join] };
  let next = 0;
  const opener = async (): Promise<void> => {
    while (next < count) {
      await host.group(`group-${next++}`, counter, { start, timeoutMs: patienceMs });
    }
  };
  await Promise.all(Array.from({ length: atATime }, opener));
}

process.on("message", (request: GroupsRequest) => {
  if (request.type === "cpu") {
    process.send?.({ type: "cpu", cpuMs: cpuMs() } satisfies CpuReply);
    return;
  }
  if (request.type === "usage") {
    process.send?.({ type: "usage", usage: usage() } satisfies UsageReply);
    return;
  }
  open(request.count, request.join).then(
    () => process.send?.({ type: "opened" }),
    (error: unknown) => process.send?.({ type: "error", error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.({ type: "ready", address: host.address });
