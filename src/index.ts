/**
 * RaftedValue: replicate any value over a group of processes.
 *
 * @example
 * ```ts
 * import { defineValue, startHost } from "rafted-value";
 *
 * const counter = defineValue({
 *   name: "counter",
 *   version: 1,
 *   initial: () => 0,
 *   commands: { inc: (n, by: number) => ({ reply: n + by, value: n + by }) },
 *   queries: { get: (n) => n },
 * });
 * const host = await startHost({ id: "foo", listen: "127.0.0.1:7101" });
 * const group = await host.group("counter", counter, { start: "create" });
 * console.log(await group.command("inc", 1)); // 1
 * await host.close();
 * ```
 */
import { createSystemClock, createSystemRandom } from "./clock/system.js";
import { createCborCodec } from "./codec/values.js";
import type { Host } from "./host/host.js";
import { type HostOptions, silentLogger } from "./host/options.js";
import { startHostWith } from "./host/start.js";
import { createMemoryStorage } from "./storage/memory.js";
import { createTcpTransport, type TlsOptions } from "./transport/tcp.js";

export type StartHostOptions = HostOptions & {
  /** Encrypts and authenticates peers and clients alike; for the default transport. */
  readonly tls?: TlsOptions;
};

/**
 * Starts a host: a process's one port for the members of any number of groups.
 *
 * Refuses with `invalidArgument` (the message names the field), `listenFailed`, and what its storage
 * refuses with: `storageLocked`, `storageMismatch`, `storageCorrupt`, `storageFailed`.
 *
 * @example
 * ```ts
 * const host = await startHost({ id: "foo", listen: "127.0.0.1:7101" });
 * const group = await host.group("queue", queue, { start: { join: ["127.0.0.1:7102"] } });
 * ```
 */
export async function startHost(options: StartHostOptions): Promise<Host> {
  const { tls } = options;
  return await startHostWith(options, {
    clock: createSystemClock(),
    random: createSystemRandom(),
    codec: createCborCodec(),
    logger: silentLogger,
    freeze: process.env["NODE_ENV"] !== "production",
    makeStorage: () => createMemoryStorage(),
    makeTransport: () => createTcpTransport(tls === undefined ? {} : { tls }),
  });
}

export { Host } from "./host/host.js";
