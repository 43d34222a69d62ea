/** What can be set about a data directory, and what is set otherwise. */
import { isOptions, RaftError, show, unknownName } from "../../errors.js";
import type { FileSystem } from "./fs.js";

export type FileStorageOptions = {
  /** Size of a full-grown segment of the log; the first ones are smaller. Default 64 MiB. */
  readonly segmentBytes?: number | undefined;
  /** Size of the very first segment. Default 1 MiB. */
  readonly firstSegmentBytes?: number | undefined;
  /**
   * Above this size of the log, what a group that takes no snapshots still needs of the oldest
   * segment is written again at the end, so that the segment can go. Default 1 GiB.
   */
  readonly maxLogBytes?: number | undefined;
  /** Below this much free space a warning is given. Default twice `segmentBytes`. */
  readonly lowSpaceBytes?: number | undefined;
  /** A write or sync that takes longer is warned of. Default 5000. */
  readonly slowSyncMs?: number | undefined;
  /**
   * How long after a sync the file `mark` tells of it. It vouches for the last block of the log: what
   * was synced less than this before the process was killed, and is found damaged, passes for a write that was
   * cut short. 0: at once, at the price of a second write with every sync. Default 10.
   */
  readonly markLagMs?: number | undefined;
  /** For tests: another file system. */
  readonly fs?: FileSystem | undefined;
};

export type Settings = {
  readonly [Name in keyof FileStorageOptions]-?: Exclude<FileStorageOptions[Name], undefined>;
};
/** `fs` null: the one of Node. */
export type GivenSettings = Omit<Settings, "fs"> & { readonly fs: FileSystem | null };

const MiB = 1024 * 1024;
const leastSegmentBytes = 1024;
const longestTimerMs = 2 ** 31 - 1;

function check(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    const upTo = most < Number.MAX_SAFE_INTEGER ? ` and at most ${most}` : "";
    throw new RaftError(
      "invalidArgument",
      `fileStorage: ${name} must be an integer of at least ${least}${upTo}, not ${show(value)}`,
    );
  }
  return value;
}

const optionNames: readonly string[] = Object.keys({
  ...{ segmentBytes: true, firstSegmentBytes: true, maxLogBytes: true, lowSpaceBytes: true },
  ...{ slowSyncMs: true, markLagMs: true, fs: true },
} satisfies Record<keyof FileStorageOptions, true>);

/** A misspelt option would be as good as none. */
function checkNames(options: unknown): void {
  if (!isOptions(options)) {
    const why = "fileStorage: options must be an object such as { maxLogBytes: 2 ** 30 }";
    throw new RaftError("invalidArgument", why);
  }
  const strange = unknownName(options, optionNames);
  if (strange === undefined) return;
  const why = `fileStorage: ${strange} is no option; there are ${optionNames.join(", ")}`;
  throw new RaftError("invalidArgument", why);
}

/** Throws `invalidArgument` for what does not exist or is out of range. */
export function settingsOf(options: FileStorageOptions): GivenSettings {
  checkNames(options);
  const segmentBytes = check("segmentBytes", options.segmentBytes ?? 64 * MiB, leastSegmentBytes);
  const first = options.firstSegmentBytes ?? Math.min(MiB, segmentBytes);
  return {
    segmentBytes,
    firstSegmentBytes: Math.min(check("firstSegmentBytes", first, leastSegmentBytes), segmentBytes),
    maxLogBytes: check("maxLogBytes", options.maxLogBytes ?? 1024 * MiB, leastSegmentBytes),
    lowSpaceBytes: check("lowSpaceBytes", options.lowSpaceBytes ?? 2 * segmentBytes, 0),
    slowSyncMs: check("slowSyncMs", options.slowSyncMs ?? 5000, 1),
    markLagMs: check("markLagMs", options.markLagMs ?? 10, 0, longestTimerMs),
    fs: options.fs ?? null,
  };
}
