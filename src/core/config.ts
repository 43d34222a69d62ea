/** Defaults and validation of a group's configuration. */
import { isOptions, RaftError, show } from "../errors.js";
import type { GroupConfig, GroupConfigChange } from "./types.js";

const KiB = 1024;
const MiB = 1024 * KiB;

export const defaultGroupConfig: GroupConfig = Object.freeze({
  heartbeatMs: 200,
  electionTimeoutMs: 1000,
  clockDriftMarginMs: 1000,
  maxSessions: 100_000,
  maxRetainedCommandIds: 1000,
  maxReplyBytesPerSession: MiB,
  maxReplyBytes: 64 * MiB,
  maxCommandBytes: 8 * MiB,
  maxUncommittedBytes: 64 * MiB,
  maxAppendBytes: MiB,
  maxInflightBytes: 8 * MiB,
  maxInflightMessages: 256,
  maxPendingReads: 100_000,
  snapshotChunkBytes: 256 * KiB,
  snapshotLogFactor: 10,
  minSnapshotLogBytes: 4 * MiB,
  maxSnapshotLogBytes: 256 * MiB,
  trailingLogBytes: MiB,
});

/** Least and greatest allowed value of each field. */
const ranges: Record<keyof GroupConfig, readonly [number, number]> = {
  heartbeatMs: [5, 60_000],
  electionTimeoutMs: [20, 600_000],
  clockDriftMarginMs: [0, 600_000],
  maxSessions: [1, 10_000_000],
  maxRetainedCommandIds: [0, 10_000_000],
  maxReplyBytesPerSession: [KiB, 1024 * MiB],
  maxReplyBytes: [KiB, 4096 * MiB],
  maxCommandBytes: [64, 32 * MiB],
  maxUncommittedBytes: [KiB, 4096 * MiB],
  maxAppendBytes: [KiB, 32 * MiB],
  maxInflightBytes: [KiB, 1024 * MiB],
  maxInflightMessages: [1, 65_536],
  maxPendingReads: [1, 10_000_000],
  snapshotChunkBytes: [64, 16 * MiB],
  snapshotLogFactor: [1, 1_000_000],
  minSnapshotLogBytes: [0, 4096 * MiB],
  maxSnapshotLogBytes: [KiB, 65_536 * MiB],
  trailingLogBytes: [0, 4096 * MiB],
};

function refuse(message: string): never {
  throw new RaftError("invalidConfig", message);
}

/**
 * The whole configuration that `change` makes of `base`.
 *
 * A change of `electionTimeoutMs` without `clockDriftMarginMs` keeps lease reads off if they were
 * off, that is, if the margin was the whole timeout.
 *
 * @throws RaftError `invalidConfig` that names the field and what would be right.
 */
export function validateGroupConfig(
  change: GroupConfigChange,
  base: GroupConfig = defaultGroupConfig,
): GroupConfig {
  if (!isOptions(change)) {
    refuse(
      "config: expected an object such as { heartbeatMs: 200, electionTimeoutMs: 1000 }, " +
        `got ${show(change)}`,
    );
  }
  const merged: Record<string, number> = { ...base };
  for (const [name, given] of Object.entries(change) as [string, unknown][]) {
    const range = Object.hasOwn(ranges, name) ? ranges[name as keyof GroupConfig] : undefined;
    if (range === undefined) {
      refuse(`config.${name}: no such setting; known are ${Object.keys(ranges).join(", ")}`);
    }
    if (given === undefined) continue;
    const whole = name !== "snapshotLogFactor";
    if (
      typeof given !== "number" ||
      !Number.isFinite(given) ||
      (whole && !Number.isInteger(given))
    ) {
      refuse(
        `config.${name}: expected ${whole ? "a whole number" : "a number"}, not ${show(given)}`,
      );
    }
    if (given < range[0] || given > range[1]) {
      refuse(`config.${name}: ${given} is out of range; from ${range[0]} to ${range[1]}`);
    }
    merged[name] = given;
  }
  if (
    change.clockDriftMarginMs === undefined &&
    base.clockDriftMarginMs >= base.electionTimeoutMs
  ) {
    merged["clockDriftMarginMs"] = merged["electionTimeoutMs"]!;
  }
  // Built field by field, so that every configuration has the same hidden class and key order.
  const config = Object.fromEntries(
    Object.keys(defaultGroupConfig).map((name) => [name, merged[name]!]),
  ) as unknown as GroupConfig;
  return checkTogether(config);
}

function checkTogether(config: GroupConfig): GroupConfig {
  const { heartbeatMs, electionTimeoutMs, clockDriftMarginMs } = config;
  if (heartbeatMs >= electionTimeoutMs) {
    refuse(
      `config.heartbeatMs: ${heartbeatMs} must be below electionTimeoutMs (${electionTimeoutMs}); ` +
        `a fifth of it is usual`,
    );
  }
  if (clockDriftMarginMs > electionTimeoutMs) {
    refuse(
      `config.clockDriftMarginMs: ${clockDriftMarginMs} must not be over electionTimeoutMs ` +
        `(${electionTimeoutMs}); equal to it means no lease reads`,
    );
  }
  if (config.maxInflightBytes < config.maxAppendBytes) {
    refuse(
      `config.maxInflightBytes: ${config.maxInflightBytes} must be at least maxAppendBytes ` +
        `(${config.maxAppendBytes})`,
    );
  }
  if (config.maxSnapshotLogBytes < config.minSnapshotLogBytes) {
    refuse(
      `config.maxSnapshotLogBytes: ${config.maxSnapshotLogBytes} must be at least ` +
        `minSnapshotLogBytes (${config.minSnapshotLogBytes})`,
    );
  }
  return Object.freeze(config);
}
