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
import { RaftError } from "./errors.js";
import type { Host } from "./host/host.js";
import { transportLimits } from "./host/limits.js";
import { checkHostOptions, type HostOptions, silentLogger } from "./host/options.js";
import { startHostWith } from "./host/start.js";
import { createMemoryStorage } from "./storage/memory.js";
import { createTcpTransport } from "./transport/tcp.js";
import { parseAddress } from "./transport/tcp-address.js";
import type { TlsOptions } from "./transport/tls-options.js";

export type StartHostOptions = HostOptions & {
  /** Encrypts and authenticates peers and clients alike; for the default transport. */
  readonly tls?: TlsOptions | undefined;
};

/**
 * Starts a host: a process's one port for the members of any number of groups.
 *
 * Refuses with `invalidArgument` (the message names the field), `listenFailed`, and what its storage
 * refuses with: `storageLocked`, `storageMismatch`, `storageCorrupt`, `storageFailed`, `diskFull`.
 *
 * @example
 * ```ts
 * const host = await startHost({ id: "foo", listen: "127.0.0.1:7101" });
 * const group = await host.group("queue", queue, { start: { join: ["127.0.0.1:7102"] } });
 * ```
 */
export async function startHost(options: StartHostOptions): Promise<Host> {
  checkHostOptions(options);
  const { tls, transport, advertise } = options;
  if (tls !== undefined && transport !== undefined) {
    const why = "tls: it is for the default transport; give it to your own `transport` instead";
    throw new RaftError("invalidArgument", why);
  }
  // What others dial; `listen` is checked by the transport itself.
  const checked = transport === undefined && typeof advertise === "string";
  if (checked) parseAddress(advertise, "dial", "advertise");
  return await startHostWith(options, {
    clock: createSystemClock(),
    random: createSystemRandom(),
    codec: createCborCodec(),
    logger: silentLogger,
    freeze: process.env["NODE_ENV"] !== "production",
    makeStorage: () => createMemoryStorage({ keepsLog: false }),
    makeTransport: (limits) =>
      createTcpTransport({ tls, logger: options.logger, limits: transportLimits(limits) }),
  });
}

export { connect, connectAdmin } from "./client/index.js";
export type { AdminClient, ConnectOptions } from "./client/index.js";
export type {
  CallOptions,
  CommandOptions,
  GroupClient,
  GroupEvent,
  GroupStatus,
  MemberStatus,
} from "./client/types.js";
export { createCborCodec } from "./codec/values.js";
export { defaultGroupConfig } from "./core/config.js";
export type { GroupConfig, GroupConfigChange } from "./core/types.js";
export { errorCodes, RaftError } from "./errors.js";
export type { Applied, RaftErrorCode } from "./errors.js";
export type { GroupHandle } from "./host/handle.js";
export { Host } from "./host/host.js";
export { defaultHostLimits } from "./host/limits.js";
export type { HostLimits } from "./host/limits.js";
export { silentLogger } from "./host/options.js";
export type { DamagePolicy, GroupOptions, GroupStart, HostOptions } from "./host/options.js";
export type { GroupHooks } from "./member/types.js";
export type {
  ArrivingBytes,
  Clock,
  Codec,
  Connection,
  Logger,
  Random,
  Storage,
  Transport,
} from "./ports.js";
export { fileStorage } from "./storage/file/file-storage.js";
export type { Diagnosis, FileStorageOptions, Inspection, Problem } from "./storage/file/index.js";
export type { Ranking, SetAside, Survivor } from "./storage/file/tools.js";
export { createMemoryStorage as memoryStorage } from "./storage/memory.js";
export type { MemoryStorage } from "./storage/memory.js";
export { backup, doctor, inspect, rank, recover, restore, setGroupAside } from "./tools.js";
export type {
  BackupOptions,
  BackupResult,
  RecoverOptions,
  RestoreOptions,
  RestoreResult,
} from "./tools.js";
export { createTcpTransport } from "./transport/tcp.js";
export type { TlsOptions } from "./transport/tls-options.js";
export { defineValue, isDefinedValue } from "./value/define.js";
export type {
  AnyDefinedValue,
  AppliedInfo,
  CommandArgs,
  CommandName,
  CommandReply,
  DefinedValue,
  QueryAnswer,
  QueryArgs,
  QueryName,
  ReplicatedValue,
  ThreeFunctionValue,
} from "./value/types.js";
