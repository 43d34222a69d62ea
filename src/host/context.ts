/** What the parts of one host share. */
import type { Dial } from "../client/link.js";
import type { EntriesCache } from "../codec/entries.js";
import type { RateLimit } from "../logging.js";
import type { Clock, Codec, Logger, Random, RecoveredGroup, Storage, Transport } from "../ports.js";
import type { Addresses } from "./addresses.js";
import type { HostedGroup } from "./hosted-group.js";
import type { Intake } from "./intake.js";
import type { HostLimits } from "./limits.js";
import type { PeerLinks } from "./peer-links.js";
import type { Resting } from "./resting.js";
import type { Turns } from "./turns.js";

export type HostContext = {
  readonly id: string;
  /** Where others reach this host; known once it listens. */
  address: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly storage: Storage;
  readonly transport: Transport;
  /** Of administrative bodies, and of values that bring none of their own. */
  readonly codec: Codec;
  readonly limits: HostLimits;
  readonly freeze: boolean;
  readonly maxAppliedPerTurn?: number | undefined;
  readonly turns: Turns;
  readonly intake: Intake;
  readonly groups: Map<string, HostedGroup>;
  /** What the storage held of groups that nobody has opened yet. */
  readonly recovered: Map<string, RecoveredGroup>;
  /** Names that are being created, joined or restored right now. */
  readonly opening: Set<string>;
  /** Handles that are closing because their members have ended, and the names of their groups. */
  readonly endings: Map<Promise<void>, string>;
  readonly links: PeerLinks;
  readonly resting: Resting;
  readonly announced: Addresses;
  /** Of the turn under way: a run of entries for several peers is encoded once. */
  readonly entriesCache: EntriesCache;
  readonly rateLimit: RateLimit;
  /** As a client; without a socket if this host is meant, which may not reach itself at its address. */
  readonly dial: Dial;
  /** A newcomer has heard which group took it in. */
  adoptGroup(group: HostedGroup, groupId: string): void;
};
