/** What kind of cluster a seed stands for. */
import { SeededRandom } from "../clock/virtual.js";
import type { GroupConfig } from "../core/types.js";
import type { ClientSettings } from "./sim-client.js";
import { between, pick } from "./world.js";

export type Seed = number | readonly [low: number, high: number];

export type SimulationSettings = {
  readonly machines: number;
  /** False: members live in memory alone. */
  readonly durable: boolean;
  readonly groups: number;
  readonly clients: number;
  readonly keys: number;
  readonly mutableValue: boolean;
  /** Milliseconds that a message takes at least when nothing goes wrong. */
  readonly minDelayMs: number;
  readonly config: Partial<GroupConfig>;
  readonly client: ClientSettings;
  /** So many of the commands, 0 to 1, that the workload tells from all others bear an id of the caller's own. */
  readonly ownIds: number;
};

/** Mostly three or five machines: enough for every majority to be interesting. */
const sizes = [1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 7];

export function drawSettings(seed: Seed): SimulationSettings {
  const random = new SeededRandom(seed).fork();
  const electionTimeoutMs = pick(random, [300, 1000, 1000, 2000]);
  const lease = random.next() < 0.4;
  const machines = pick(random, sizes);
  const small = random.next() < 0.5;
  return {
    machines,
    durable: random.next() < 0.6,
    groups: pick(random, [1, 1, 1, 2, 3]),
    clients: pick(random, [2, 3, 4, 6]),
    keys: pick(random, [1, 2, 5]),
    mutableValue: random.next() < 0.3,
    config: {
      electionTimeoutMs,
      heartbeatMs: Math.max(5, Math.round(electionTimeoutMs * pick(random, [0.1, 0.2, 0.2, 0.4]))),
      clockDriftMarginMs: lease ? Math.ceil(electionTimeoutMs * 0.15) : electionTimeoutMs,
      maxSessions: pick(random, [4, 20, 1000]),
      maxAppendBytes: small ? 1024 : 65_536,
      maxInflightBytes: small ? 4096 : 1_048_576,
      maxInflightMessages: pick(random, [1, 2, 8, 256]),
      snapshotChunkBytes: pick(random, [64, 256, 65_536]),
      minSnapshotLogBytes: pick(random, [0, 1000, 20_000, 1_000_000]),
      maxSnapshotLogBytes: 1_048_576,
      snapshotLogFactor: pick(random, [1, 2, 10]),
      trailingLogBytes: pick(random, [0, 500, 10_000]),
    },
    client: {
      pipeline: pick(random, [1, 1, 2, 4]),
      pauseMs: electionTimeoutMs * between(random, 0.2, 3),
      minTimeoutMs: electionTimeoutMs,
      maxTimeoutMs: electionTimeoutMs * 10,
    },
    // Mostly neighbours; else members of several sites, far enough for the chunks of a snapshot to get longer.
    minDelayMs: pick(random, [0.1, 0.1, 0.1, 0.1, 12]),
    ownIds: pick(random, [0, 0, 0.1, 0.5]),
  };
}
