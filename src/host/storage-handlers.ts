/** What the storage tells, brought to the member that it is about. */
import type { StorageHandlers } from "../ports.js";
import type { HostContext } from "./context.js";

export function storageHandlers(context: HostContext): StorageHandlers {
  const { groups, logger, id } = context;
  return {
    onStored: (group, ticket) => groups.get(group)?.member.storedTicket(ticket),
    onSnapshotChunkWritten: (group, index, term, sizeBytes) =>
      groups.get(group)?.member.snapshotChunkWritten(index, term, sizeBytes),
    onSnapshotSaved: (group, snapshot, ok) => groups.get(group)?.member.snapshotSaved(snapshot, ok),
    onSnapshotChunkRead: (group, to, index, offset, data) =>
      groups.get(group)?.member.snapshotChunkRead(to, index, offset, data),
    onFailed(error) {
      const line = `host ${id}: the storage failed, its members stop accepting: ${error.message}`;
      logger.error({ host: id, err: error }, line);
      for (const { member } of groups.values()) member.storageFailed(error.message);
    },
    onWarning: (message) => logger.warn({ host: id }, `host ${id}: storage: ${message}`),
  };
}
