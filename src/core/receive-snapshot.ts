/**
 * Receiving a snapshot (paper Figure 13).
 *
 * - installSnapshot        -> onInstallSnapshot: not needed, resumed, or begun anew
 * - snapshotChunkWritten   -> onChunkWritten: the next chunk, or install
 * - snapshotInstalled      -> onInstalled: value and log now begin there
 */
import { assert } from "../errors.js";
import { dropForcedRemovals } from "./commit.js";
import { isHardStateStored, restartAfterSnapshot } from "./disk.js";
import { acceptLeader } from "./follower.js";
import { resetLog, termAt } from "./log.js";
import { resetMemberships, tellMembership } from "./memberships.js";
import { isMember } from "./quorum.js";
import { adjustFollowerType, becomeRemoved } from "./roles.js";
import type { Core, FollowerRole, Out } from "./state.js";
import type { CoreEvent, InstallSnapshot, MemberId, SnapshotMeta } from "./types.js";

export function onInstallSnapshot(
  core: Core,
  from: MemberId,
  message: InstallSnapshot,
  out: Out,
): void {
  const role = acceptLeader(core, from, message, out);
  if (role === null || core.storageFailed) return;
  const { snapshot } = message;
  if (holdsAlready(core, snapshot)) {
    // An old or repeated one rewinds nothing (hazards 49, 50); it is answered as matching.
    core.commitIndex = Math.max(core.commitIndex, snapshot.index);
    role.matchedIndex = Math.max(role.matchedIndex, snapshot.index);
    role.snapshotReplyWanted = snapshot;
    return;
  }
  const { incoming } = core;
  if (incoming?.installing === true) return;
  const continues = incoming !== null && isSame(incoming.meta, snapshot);
  if (!continues && message.offset !== 0) {
    // Chunks of two snapshots are never mixed (hazard 56): from the beginning, please.
    role.snapshotReplyWanted = snapshot;
    core.incoming = null;
    return;
  }
  if (!continues) {
    core.incoming = { meta: snapshot, requestedBytes: 0, heldBytes: 0, installing: false };
  }
  takeChunk(core, role, message, out);
}

function takeChunk(core: Core, role: FollowerRole, message: InstallSnapshot, out: Out): void {
  const incoming = core.incoming!;
  const { snapshot, offset, data } = message;
  // Storage has not taken the last one yet: its answer will say how to go on, and one of ours would make the
  // leader send that one again, and again (hazard 96).
  if (incoming.requestedBytes > incoming.heldBytes) return;
  const fits = offset === incoming.requestedBytes && offset + data.length <= snapshot.sizeBytes;
  if (!fits || (data.length === 0 && snapshot.sizeBytes > 0)) {
    role.snapshotReplyWanted = snapshot;
    return;
  }
  incoming.requestedBytes += data.length;
  const last = incoming.requestedBytes === snapshot.sizeBytes;
  out.push({ type: "writeSnapshotChunk", snapshot, offset, data, last });
}

function holdsAlready(core: Core, snapshot: SnapshotMeta): boolean {
  return snapshot.index <= core.commitIndex || termAt(core.log, snapshot.index) === snapshot.term;
}

function isSame(a: SnapshotMeta, b: SnapshotMeta): boolean {
  return (
    a.index === b.index &&
    a.term === b.term &&
    a.checksum === b.checksum &&
    a.sizeBytes === b.sizeBytes
  );
}

export function onChunkWritten(
  core: Core,
  event: Extract<CoreEvent, { type: "snapshotChunkWritten" }>,
  out: Out,
): void {
  const { incoming, role } = core;
  if (incoming === null || incoming.installing) return;
  const { meta } = incoming;
  if (meta.index !== event.index || meta.term !== event.term) return;
  // Storage knows best: it may hold more from before a restart, and less than an acknowledgement of an
  // abandoned beginning says, behind which the true one follows.
  incoming.heldBytes = Math.min(event.sizeBytes, meta.sizeBytes);
  incoming.requestedBytes = incoming.heldBytes;
  if (holdsAlready(core, meta)) {
    // Entries came meanwhile that reach as far: what is applied is not to be rewound (hazard 50).
    core.incoming = null;
  } else if (incoming.heldBytes === meta.sizeBytes) {
    incoming.installing = true;
    out.push({ type: "installSnapshot", snapshot: meta });
  }
  if (role.type === "follower" || role.type === "learner") role.snapshotReplyWanted = meta;
}

export function onInstalled(
  core: Core,
  event: Extract<CoreEvent, { type: "snapshotInstalled" }>,
  out: Out,
): void {
  const { incoming } = core;
  if (incoming === null || !incoming.installing) return;
  const { meta } = incoming;
  if (meta.index !== event.index || meta.term !== event.term) return;
  core.incoming = null;
  const role = core.role.type === "follower" || core.role.type === "learner" ? core.role : null;
  if (!event.ok) {
    // Damaged on the way: from the beginning.
    if (role !== null) role.snapshotReplyWanted = meta;
    return;
  }
  // It was asked for because the entry there is another's, or missing: nothing of this log agrees
  // (hazard 48), and nothing was appended while it was being installed.
  assert(!holdsAlready(core, meta), `snapshot: ${meta.index} came in place of a log that has it`);
  resetLog(core.log, meta.index, meta.term);
  restartAfterSnapshot(core.disk, meta.index);
  core.snapshot = meta;
  core.commitIndex = meta.index;
  core.lastApplied = meta.index;
  core.appliedBytes = 0;
  core.countedFrom = meta.index;
  core.countedSizeBytes = meta.sizeBytes;
  core.takingSnapshotAt = 0;
  core.config = meta.config;
  core.configIndex = meta.index;
  // The membership in force is the snapshot's, then the log's suffix, and nothing older (hazard 52).
  resetMemberships(core, { index: meta.membershipIndex, membership: meta.membership });
  // Nor does one that was forced out here count as out once the group lets it in again.
  dropForcedRemovals(core, meta.membership);
  adjustFollowerType(core, out);
  tellMembership(core, core.membershipIndex <= core.commitIndex, out);
  out.push({ type: "configChanged", config: meta.config, index: meta.index });
  if (role !== null) {
    role.matchedIndex = Math.max(role.matchedIndex, meta.index);
    role.snapshotReplyWanted = meta;
  }
  // All that is left to hear for one that was taken out while it was away.
  if (core.wasMember && !isMember(core.membership, core.self.id)) becomeRemoved(core, out);
}

/** At most one a turn. `installed` only when it is durable here. */
export function sendSnapshotReply(core: Core, out: Out): void {
  const { role, incoming, disk } = core;
  if (role.type !== "follower" && role.type !== "learner") return;
  const meta = role.snapshotReplyWanted;
  if (meta === null || role.leader === null || core.storageFailed) return;
  if (!isHardStateStored(disk)) return;
  const held = holdsAlready(core, meta);
  if (held && disk.durableIndex < meta.index) return;
  role.snapshotReplyWanted = null;
  out.push({
    type: "send",
    to: role.leader,
    message: {
      type: "installSnapshotReply",
      term: core.currentTerm,
      snapshotIndex: meta.index,
      snapshotTerm: meta.term,
      offset: incoming !== null && isSame(incoming.meta, meta) ? incoming.heldBytes : 0,
      installed: held,
      round: role.round,
      sentAtMs: role.sentAtMs,
    },
  });
}
