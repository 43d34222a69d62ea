/**
 * How long the chunks of a snapshot are (decision 44). One is on its way at a time: over a far line a short one mostly
 * waits for its answer, over a thin one a long one holds up the heartbeats behind it.
 *
 * - chunkTook -> twice as long, while that pays and an answer takes no quarter of an election timeout
 * - chunkTook for more than half of one, or chunkLost -> half as long, and no longer until many went well
 * - holdToConfig -> within what is configured by now
 */
import type { SendingSnapshot } from "./state.js";
import type { GroupConfig, Millis } from "./types.js";

/** Times `snapshotChunkBytes`, and bytes: no chunk gets longer. */
const mostTimes = 16;
const mostBytes = 4 * 1024 * 1024;
/** So many times the bytes per millisecond make one of twice the length worth its while. */
const worthwhile = 1.25;
/** An answer that comes sooner leaves nothing to gain: 256 KiB in that time is as fast as a value is read. */
const leastMs: Millis = 20;
/** Groups with shorter timeouts may have the same line, so no longer one is reckoned with. */
const mostPatienceMs: Millis = 1000;
/** So many in a row, and a longer one is tried again; twice as many each time until one pays, up to `mostTrialChunks`. */
const leastTrialChunks = 16;
const mostTrialChunks = 256;

export type ChunkSize = Pick<
  SendingSnapshot,
  "chunkBytes" | "longestChunkBytes" | "rateBefore" | "chunksInARow" | "trialChunks"
>;

export function createChunkSize(config: GroupConfig): ChunkSize {
  const { snapshotChunkBytes } = config;
  return {
    chunkBytes: snapshotChunkBytes,
    longestChunkBytes: longest(config),
    rateBefore: 0,
    chunksInARow: 0,
    trialChunks: leastTrialChunks,
  };
}

function longest({ snapshotChunkBytes }: GroupConfig): number {
  return Math.max(snapshotChunkBytes, Math.min(mostTimes * snapshotChunkBytes, mostBytes));
}

/** So many bytes more were taken, and it took so long until that was known. */
export function chunkTook(
  size: ChunkSize,
  config: GroupConfig,
  takenBytes: number,
  tookMs: Millis,
): void {
  const { chunkBytes, rateBefore } = size;
  // The last one, or one of which the receiver had more.
  if (takenBytes !== chunkBytes) return;
  const rate = takenBytes / Math.max(tookMs, 1);
  const patienceMs = Math.min(config.electionTimeoutMs, mostPatienceMs);
  const isTooLong = tookMs > patienceMs / 2;
  if (isTooLong || rate < worthwhile * rateBefore) return chunkLost(size, config);
  if (rateBefore > 0) size.trialChunks = leastTrialChunks;
  size.rateBefore = 0;
  if (chunkBytes >= size.longestChunkBytes) return wentWell(size, config);
  if (tookMs < leastMs || tookMs > patienceMs / 4) return;
  size.rateBefore = rate;
  size.chunkBytes = Math.min(2 * chunkBytes, size.longestChunkBytes);
}

function wentWell(size: ChunkSize, config: GroupConfig): void {
  const most = longest(config);
  if (size.longestChunkBytes >= most) return;
  size.chunksInARow += 1;
  if (size.chunksInARow < size.trialChunks) return;
  size.chunksInARow = 0;
  size.longestChunkBytes = Math.min(most, 2 * size.longestChunkBytes);
  // One that is too long for its receiver costs an election timeout each time.
  size.trialChunks = Math.min(2 * size.trialChunks, mostTrialChunks);
}

/** Nothing was heard of it. */
export function chunkLost(size: ChunkSize, config: GroupConfig): void {
  size.chunkBytes = Math.max(config.snapshotChunkBytes, Math.floor(size.chunkBytes / 2));
  size.longestChunkBytes = size.chunkBytes;
  size.rateBefore = 0;
  size.chunksInARow = 0;
}

/** Before a chunk is asked for: `snapshotChunkBytes` may have been changed since the last one. */
export function holdToConfig(size: ChunkSize, config: GroupConfig): void {
  const least = config.snapshotChunkBytes;
  const most = longest(config);
  if (size.chunkBytes < least || size.chunkBytes > most) size.rateBefore = 0;
  size.chunkBytes = Math.min(Math.max(size.chunkBytes, least), most);
  size.longestChunkBytes = Math.min(Math.max(size.longestChunkBytes, size.chunkBytes), most);
}
