/** A new group of one member whose storage begins with a backup. */
import type { Membership } from "../../core/types.js";
import type { GroupIdentity } from "../../ports.js";
import { type BackupDescription, openBackup } from "./backup-file.js";
import { checkEmpty, makeDataDirectory } from "./new-directory.js";

export type Founder = {
  /** The group's name; null: as it was. */
  readonly group: string | null;
  /** Nobody else's. */
  readonly groupId: string;
  /** `hostId#incarnation`, the incarnation nobody else's. */
  readonly memberId: string;
  readonly hostId: string;
  /** Where others reach the host; null: it will say so when it starts. */
  readonly address: string | null;
};

/** Nobody listens there. The running host tells everybody it talks to where it really is. */
const noAddress = "127.0.0.1:1";

export type Restored = {
  readonly identity: GroupIdentity;
  readonly from: BackupDescription;
  readonly index: number;
  readonly term: number;
  readonly valueVersion: number;
  readonly sizeBytes: number;
};

/**
 * `check` looks at what the backup is of before anything is written, and throws its refusal.
 *
 * Rejects with `storageMismatch` (no backup, a newer format, `dir` is not empty), `storageCorrupt` (the
 * backup is truncated or damaged), `diskFull`, `storageFailed`. Then `dir` is as it was.
 */
export async function restoreDirectory(
  file: string,
  dir: string,
  founder: Founder,
  check: (backup: { readonly valueName: string; readonly valueVersion: number }) => void,
): Promise<Restored> {
  const backup = await openBackup(file);
  try {
    const { description: from, meta } = backup;
    check({ valueName: from.valueName, valueVersion: meta.valueVersion });
    await checkEmpty(dir);
    const identity: GroupIdentity = {
      group: founder.group ?? from.group,
      groupId: founder.groupId,
      memberId: founder.memberId,
      address: founder.address ?? noAddress,
      valueName: from.valueName,
    };
    await makeDataDirectory(dir, founder.hostId, {
      identity,
      hardState: { currentTerm: meta.term, votedFor: null, forcedRemovals: [] },
      snapshot: {
        meta: { ...meta, membership: soleMembership(founder) },
        pieces: backup.pieces(),
      },
      entries: [],
    });
    const { index, term, valueVersion, sizeBytes } = meta;
    return { identity, from, index, term, valueVersion, sizeBytes };
  } finally {
    await backup.close();
  }
}

/** It decides everything alone. */
export function soleMembership({ memberId, address }: Founder): Membership {
  return {
    voters: [memberId],
    outgoing: [],
    learners: [],
    members: [{ id: memberId, address: address ?? noAddress }],
  };
}
