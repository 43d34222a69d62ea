/**
 * The disk refuses writes (hazards 30, 82): this member leads no more, votes for nobody, takes nothing
 * on, and nobody waits here for what cannot come. Only a restart ends it.
 */
import { becomeFollower, refuseAllReads } from "./roles.js";
import type { Core, Out } from "./state.js";
import { handOver } from "./transfer.js";
import type { RefusalCode, RequestId } from "./types.js";

export function onStorageFailed(core: Core, out: Out): void {
  core.storageFailed = true;
  const { role } = core;
  if (role.type === "leader") handOver(core, role, out);
  // A candidate, too: one that was elected now could store nothing of its term.
  if (role.type !== "removed") becomeFollower(core, core.currentTerm, null, out);
  refuseAllReads(core, "unavailable", out);
  const refuse = (request: RequestId, code: RefusalCode, applied: "no" | "maybe"): void => {
    out.push({ type: "refused", request, code, applied });
  };
  for (const { request } of core.awaitingStore) refuse(request, "unavailable", "maybe");
  core.awaitingStore = [];
  if (core.snapshotRequest !== null) refuse(core.snapshotRequest, "unavailable", "no");
  core.snapshotRequest = null;
}
