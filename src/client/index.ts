/** Clients over TCP, for processes that are no members: `connect` and `connectAdmin`. */
import { createSystemClock, createSystemRandom } from "../clock/system.js";
import { createCborCodec } from "../codec/values.js";
import { isOptions } from "../errors.js";
import { guarded } from "../logging.js";
import type { Clock, Codec, Logger, Random, Transport } from "../ports.js";
import { parseAddress } from "../transport/tcp-address.js";
import { createTcpTransport } from "../transport/tcp.js";
import type { TlsOptions } from "../transport/tls-options.js";
import { isDefinedValue } from "../value/define.js";
import type { AnyDefinedValue } from "../value/types.js";
import { type AdminClient, createAdminClient } from "./admin.js";
import { type AdminCalls, createGroupClient } from "./client.js";
import {
  checkGroup,
  checkHosts,
  checkLimit,
  checkNames,
  checkPort,
  checkTimeout,
  defaultMaxOutstanding,
  defaultTimeoutMs,
  invalid,
} from "./options.js";
import type { GroupClient } from "./types.js";

export { errorCodes, RaftError } from "../errors.js";
export type { Applied, RaftErrorCode } from "../errors.js";
export type { TlsOptions } from "../transport/tls-options.js";
export type { AdminClient } from "./admin.js";
export type { AdminCalls, AdminOptions } from "./client.js";
export type {
  CallOptions,
  CommandOptions,
  GroupClient,
  GroupEvent,
  GroupStatus,
  MemberStatus,
} from "./types.js";

export type ConnectOptions = {
  /** The group's name, as given to `host.group()`. */
  readonly group: string;
  /** Some of the members, `host:port`; the others are learned from them. */
  readonly hosts: readonly string[];
  /** Default: no TLS. The other side must agree. */
  readonly tls?: TlsOptions | undefined;
  /** Milliseconds until a call without a `timeoutMs` of its own rejects with `timeout`. Default 5000. */
  readonly timeoutMs?: number | undefined;
  /** Of pino's shape. Default: silent. */
  readonly logger?: Logger | undefined;
  /** Calls without an answer; one more is refused with `overloaded`. Default 65,536. */
  readonly maxOutstanding?: number | undefined;
  /** Their encoded arguments, in bytes. Default 64 MiB. */
  readonly maxOutstandingBytes?: number | undefined;
  /** The world, to swap in tests. Defaults: TCP, the system's clock and randomness. */
  readonly transport?: Transport | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
};

/**
 * Connects to a group from a process that is no member of it. Nothing is dialled before the first
 * call; `close()` it when done, because its connections keep the process alive.
 *
 * A call finds the leader by itself and is tried again, until its `timeoutMs`, over lost connections,
 * refusals that pass and changes of leader; a command under one session and sequence number, so that
 * it is applied once however often it was sent. Many calls may be outstanding at once: those made in
 * one turn of the event loop leave in one frame. Commands are applied in the order of the calls unless
 * some of them had to be sent again; await one to be sure that it comes before the next.
 *
 * Rejects with RaftError, whose `applied` tells whether the command may have had an effect:
 * `timeout`, `aborted`, `closed` ("maybe" once it was sent), `overloaded` (too many outstanding: "no"),
 * `sessionExpired` ("maybe": the group has forgotten what became of it), `unknownGroup`, `groupMismatch`
 * and `protocolMismatch` (every host refuses for good), and the refusals of the call itself.
 *
 * `changeConfig`, `transferLeadership` and `removeMember` with a whole member id are sent again as well
 * when their answer was lost, because a second effect equals the first: a change of the same
 * settings by somebody else in between is overwritten, a transfer is repeated. `removeMember` with
 * a host id is not, since it might hit the member that has come back meanwhile: it rejects with
 * `unavailable`, "maybe".
 *
 * Refuses with `invalidArgument`, which names the field: `definition`, `group`, `hosts` (1 to 64 `host:port`), `tls`,
 * `timeoutMs` (1 or more), `maxOutstanding`, `maxOutstandingBytes`, `logger`, `transport`, `clock`, `random`.
 *
 * @example
 * ```ts
 * const remote = connect(queue, { group: "queue", hosts: ["127.0.0.1:7101", "127.0.0.1:7102"] });
 * const lengthBefore: number = await remote.command("enqueue", "a", { timeoutMs: 2000 });
 * const length: number = await remote.query("length");
 * await remote.close();
 * ```
 */
export function connect<D extends AnyDefinedValue>(
  definition: D,
  options: ConnectOptions,
): GroupClient<D> & AdminCalls {
  if (!isDefinedValue(definition)) throw invalid("definition", "must come from defineValue");
  return open(definition, options);
}

/**
 * A client for administration: it needs no definition of the value, so it can tell and change
 * who the members are, but neither command nor query. Options and refusals are those of `connect`.
 *
 * @example
 * ```ts
 * const admin = connectAdmin({ group: "queue", hosts: ["127.0.0.1:7101"] });
 * for (const member of await admin.members()) console.log(member.id, member.state);
 * await admin.close();
 * ```
 */
export function connectAdmin(options: ConnectOptions): AdminClient {
  return createAdminClient(open(null, options));
}

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const optionNames: readonly string[] = Object.keys({
  ...{ group: true, hosts: true, tls: true, timeoutMs: true, logger: true },
  ...{ maxOutstanding: true, maxOutstandingBytes: true },
  ...{ transport: true, clock: true, random: true },
} satisfies Record<keyof ConnectOptions, true>);

function open<D extends AnyDefinedValue>(
  definition: D | null,
  options: ConnectOptions,
): GroupClient<D> & AdminCalls {
  if (!isOptions(options)) {
    throw invalid("options", 'must be an object such as { group: "queue", hosts: [...] }');
  }
  checkNames(options, optionNames);
  const { tls } = options;
  const foreign = options.transport !== undefined;
  if (foreign && tls !== undefined) {
    throw invalid("tls", "is for the default transport; give it to your own `transport` instead");
  }
  checkPort("logger", options.logger, ["debug", "info", "warn", "error"]);
  checkPort("transport", options.transport, ["dial"]);
  checkPort("clock", options.clock, ["nowMs", "wallMs", "after", "soon"]);
  checkPort("random", options.random, ["next", "id"]);
  const logger = options.logger === undefined ? silent : guarded(options.logger);
  const group = checkGroup(options.group);
  // Only TCP's addresses are known to us.
  const parse = foreign
    ? () => undefined
    : (address: string, field: string) => void parseAddress(address, "dial", field);
  const hosts = checkHosts(options.hosts, parse);
  const timeoutMs = checkTimeout("timeoutMs", options.timeoutMs ?? defaultTimeoutMs);
  const maxOutstanding = checkLimit(
    "maxOutstanding",
    options.maxOutstanding,
    defaultMaxOutstanding,
  );
  const maxOutstandingBytes = checkLimit(
    "maxOutstandingBytes",
    options.maxOutstandingBytes,
    64 * 1024 * 1024,
  );
  const transport = options.transport ?? createTcpTransport({ tls, logger });
  const codec: Codec = createCborCodec();
  return createGroupClient({
    definition,
    group,
    hosts,
    checkAddress: parse,
    dial: (address, handlers) => transport.dial(address, handlers),
    clock: options.clock ?? createSystemClock(),
    random: options.random ?? createSystemRandom(),
    codec,
    logger,
    defaultTimeoutMs: timeoutMs,
    maxOutstanding,
    maxOutstandingBytes,
  });
}
