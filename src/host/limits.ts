/** What a host keeps waiting at most, and how patient it is with connections. */
import { defaultMaxOutstanding } from "../client/options.js";
import { isOptions, RaftError, show } from "../errors.js";

const KiB = 1024;
const MiB = 1024 * KiB;

export type HostLimits = {
  /**
   * Bytes that wait for one member's next turn, its queries that wait for an answer, and frames of clients that
   * wait for their turn on the whole host: so many each. Beyond, callers hear `overloaded`, and what
   * other members send is dropped: their longest messages, as the group's config has them, have to fit. At least 4 KiB, default 64 MiB.
   */
  readonly maxInboxBytes: number;
  /**
   * Connections accepted at a time; beyond, the newest is refused with `overloaded`, another host's only beyond 128 more.
   * A transport of your own has to take 256 more than these, or it turns them away itself. Default 10,000.
   */
  readonly maxConnections: number;
  /** Groups that one connection may open channels to. Default 10,000. */
  readonly maxChannelsPerConnection: number;
  /** Requests of one client and group without an answer; beyond, `overloaded`, applied "no". Default 65,536. */
  readonly maxRequestsPerClient: number;
  /** Requests of all clients that one turn takes in; the others wait for the next. Default 256. */
  readonly maxRequestsPerTurn: number;
  /** The same in bytes of their bodies; a single larger one passes. Default 256 KiB. */
  readonly maxRequestBytesPerTurn: number;
  /**
   * Microseconds for which a leader whose followers usually answer so soon waits for them awake; 0: it always
   * sleeps. Less latency for up to as much of the processor with each round. Default 250.
   */
  readonly maxAwakeUs: number;
  /** Bytes that a client may leave unread before its connection is broken; a frame counts as 512 or more. At least 4 KiB, default 64 MiB. */
  readonly maxClientQueueBytes: number;
  /**
   * Bytes that wait for one peer host, where a frame counts as 512 or more; beyond, messages to it are
   * dropped (Raft sends again), and a connection on which it only asks and does not read is broken. Default 64 MiB.
   */
  readonly maxPeerQueueBytes: number;
  /**
   * Largest frame sent, at least 4 KiB, by default 40 MiB; a single reply over it becomes `encodeFailed`. Raised, it has to be raised on all
   * hosts, and clients need a `transport` that takes as much: `createTcpTransport({ limits: { maxFrameBytes } })`.
   */
  readonly maxFrameBytes: number;
  /** How long a new connection may take to say hello. Default 5000. */
  readonly helloTimeoutMs: number;
  /** Pings go out this often; three without an answer end the connection. Default 2000. */
  readonly pingIntervalMs: number;
  /** First and longest pause between two attempts to dial a peer; jittered. Default 20, 1000. */
  readonly minDialPauseMs: number;
  readonly maxDialPauseMs: number;
};

export const defaultHostLimits: HostLimits = Object.freeze({
  maxInboxBytes: 64 * MiB,
  maxConnections: 10_000,
  maxChannelsPerConnection: 10_000,
  maxRequestsPerClient: defaultMaxOutstanding,
  maxRequestsPerTurn: 256,
  maxRequestBytesPerTurn: 256 * KiB,
  maxAwakeUs: 250,
  maxClientQueueBytes: 64 * MiB,
  maxPeerQueueBytes: 64 * MiB,
  maxFrameBytes: 40 * MiB,
  helloTimeoutMs: 5000,
  pingIntervalMs: 2000,
  minDialPauseMs: 20,
  maxDialPauseMs: 1000,
});

/**
 * Below these a host would start and nobody would get into its groups: a request to join does not fit, or
 * neither does its answer, or whoever asks is cut off for not having read it yet.
 */
const least: Partial<HostLimits> = {
  maxAwakeUs: 0,
  maxInboxBytes: 4 * KiB,
  maxFrameBytes: 4 * KiB,
  maxClientQueueBytes: 4 * KiB,
};

/** Connections that are being refused, and those of other hosts (`spareForPeers`). */
const spareConnections = 256;

/** What a transport has to allow so that it is the host that refuses, politely. */
export function transportLimits(limits: HostLimits): {
  readonly maxFrameBytes: number;
  readonly maxConnections: number;
  readonly maxQueuedBytes: number;
} {
  // The others may send frames of the usual size, whatever this host keeps to.
  const maxFrameBytes = Math.max(limits.maxFrameBytes, defaultHostLimits.maxFrameBytes);
  const { maxClientQueueBytes, maxPeerQueueBytes } = limits;
  // A queue is looked at before a frame is added, or after all replies of a turn were.
  const queueBytes = 2 * Math.max(maxClientQueueBytes, maxPeerQueueBytes) + 2 * maxFrameBytes;
  return {
    maxFrameBytes,
    maxConnections: Math.min(Number.MAX_SAFE_INTEGER, limits.maxConnections + spareConnections),
    maxQueuedBytes: Math.min(Number.MAX_SAFE_INTEGER, Math.max(256 * MiB, queueBytes)),
  };
}

/** The limits in force; refuses `invalidArgument` and names the field. */
export function checkLimits(given: Partial<HostLimits> | undefined): HostLimits {
  const limits: Record<string, number> = { ...defaultHostLimits };
  if (given === undefined) return defaultHostLimits;
  if (!isOptions(given)) {
    throw new RaftError(
      "invalidArgument",
      `limits: expected an object of numbers, got ${show(given)}`,
    );
  }
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    if (!Object.hasOwn(defaultHostLimits, name)) {
      const known = Object.keys(defaultHostLimits).join(", ");
      throw new RaftError("invalidArgument", `limits.${name}: no such limit; known are ${known}`);
    }
    if (value === undefined) continue;
    const from = least[name as keyof HostLimits] ?? 1;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < from) {
      throw new RaftError(
        "invalidArgument",
        `limits.${name}: expected a whole number of ${from} or more, got ${show(value)}`,
      );
    }
    limits[name] = value;
  }
  return checkTogether(Object.freeze(limits) as HostLimits);
}

function checkTogether(limits: HostLimits): HostLimits {
  const { minDialPauseMs, maxDialPauseMs } = limits;
  if (maxDialPauseMs >= minDialPauseMs) return limits;
  throw new RaftError(
    "invalidArgument",
    `limits.maxDialPauseMs: ${maxDialPauseMs} must be at least minDialPauseMs (${minDialPauseMs})`,
  );
}
