/** What the TCP transport allows, in bytes, in count and in time. */
import { defaultMaxFrameBytes } from "../codec/frame.js";
import { isOptions, RaftError, show } from "../errors.js";

export type TcpLimits = {
  /** A larger payload is neither sent nor taken. Default 40 MiB. */
  readonly maxFrameBytes: number;
  /** `queuedBytes` above it arms `onDrain`. Default 4 MiB. */
  readonly highWaterBytes: number;
  /** `onDrain` comes at or below it. Default 1 MiB. */
  readonly lowWaterBytes: number;
  /**
   * A connection whose other side lets more than this pile up is broken, and so is one with more payloads
   * than this, of 512 bytes each. Default 256 MiB.
   */
  readonly maxQueuedBytes: number;
  /** Connections that a listener serves at a time; one more is closed at once. Default 4096. */
  readonly maxConnections: number;
  /** From `dial` to connected, name look-up and TLS included. Default 5 s. */
  readonly connectTimeoutMs: number;
  /**
   * The dialling side waits so long for the other side's preamble, the listening side for the
   * preamble and a first whole frame. Default 10 s.
   */
  readonly handshakeTimeoutMs: number;
  /** The other side takes nothing of what is sent for so long (per started MiB). Default 30 s. */
  readonly stallTimeoutMs: number;
  /** `close` gives the rest so long to leave. Default 5 s. */
  readonly closeTimeoutMs: number;
  /** Silence after which the system probes whether the other side is still there. Default 10 s. */
  readonly keepAliveMs: number;
};

const mebibyte = 1024 * 1024;

const defaults: TcpLimits = Object.freeze({
  maxFrameBytes: defaultMaxFrameBytes,
  highWaterBytes: 4 * mebibyte,
  lowWaterBytes: mebibyte,
  maxQueuedBytes: 256 * mebibyte,
  maxConnections: 4096,
  connectTimeoutMs: 5_000,
  handshakeTimeoutMs: 10_000,
  stallTimeoutMs: 30_000,
  closeTimeoutMs: 5_000,
  keepAliveMs: 10_000,
});

/** Fills in the defaults. Throws RaftError `invalidArgument` that names the limit. */
export function completeLimits(given: Partial<TcpLimits>): TcpLimits {
  const limits: Record<keyof TcpLimits, number> = { ...defaults };
  if (!isOptions(given)) {
    throw new RaftError(
      "invalidArgument",
      `limits: expected an object of numbers, got ${show(given)}`,
    );
  }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, name)) throw refused(name, "is no limit of the TCP transport");
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < 1) {
      throw refused(name, `must be a positive integer and is ${show(value)}`);
    }
    limits[name as keyof TcpLimits] = value;
  }
  if (limits.lowWaterBytes > limits.highWaterBytes) {
    throw refused("lowWaterBytes", `must not exceed highWaterBytes (${limits.highWaterBytes})`);
  }
  if (limits.highWaterBytes > limits.maxQueuedBytes) {
    throw refused("highWaterBytes", `must not exceed maxQueuedBytes (${limits.maxQueuedBytes})`);
  }
  if (limits.maxFrameBytes > 0xffff_fffe) {
    throw refused("maxFrameBytes", "must not exceed 4294967294");
  }
  return limits;
}

function refused(name: string, why: string): RaftError {
  return new RaftError("invalidArgument", `limits.${name}: ${why}`);
}
