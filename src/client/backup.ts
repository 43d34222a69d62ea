/**
 * A consistent snapshot of a running group, read over the network: from one member, which is first
 * made to have everything that was acknowledged when it was asked.
 */
import { crc32 } from "../codec/crc32.js";
import type { SnapshotMeta } from "../core/types.js";
import { RaftError, type RaftErrorCode } from "../errors.js";
import type { AdminCalls } from "./client.js";
import type { GroupStatus } from "./types.js";

/** Where the snapshot goes. One that was begun is ended by `finish` or `abort`. */
export interface BackupSink {
  append(data: Uint8Array): Promise<void>;
  finish(meta: SnapshotMeta): Promise<void>;
  abort(): Promise<void>;
}

export type BackupTaken = { readonly status: GroupStatus; readonly meta: SnapshotMeta };

export type BackupCalls = {
  readonly client: AdminCalls;
  readonly hosts: readonly string[];
  /** Until a step of it is given up. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | null;
};

const pieceBytes = 512 * 1024;
/** A member that goes away, or takes snapshots faster than we read them, is left for another one. */
const maxTries = 3;
const passing: readonly RaftErrorCode[] = ["unavailable", "timeout", "connectFailed", "closed"];

/** `begin` is called once per try. Rejects with the last try's error. */
export async function takeBackup(
  calls: BackupCalls,
  begin: (status: GroupStatus) => Promise<BackupSink>,
): Promise<BackupTaken> {
  let { hosts } = calls;
  for (let tries = 1; ; tries++) {
    const { host, status } = await firstToAnswer({ ...calls, hosts });
    const sink = await begin(status);
    try {
      const meta = await copySnapshot(calls, host, sink);
      await sink.finish(meta);
      return { status, meta };
    } catch (error) {
      await sink.abort();
      const again = error instanceof RaftError && passing.includes(error.code);
      if (!again || tries === maxTries) throw error;
      if (hosts.length > 1) hosts = hosts.filter((other) => other !== host);
    }
  }
}

/** All are asked at once: those that do not run must not cost a timeout each. */
async function firstToAnswer({
  client,
  hosts,
  timeoutMs,
  signal,
}: BackupCalls): Promise<{ readonly host: string; readonly status: GroupStatus }> {
  const found = new AbortController();
  const give = (): void => found.abort(signal?.reason);
  signal?.addEventListener("abort", give, { once: true });
  if (signal?.aborted === true) give();
  try {
    return await Promise.any(
      hosts.map(async (host) => {
        const options = { host, timeoutMs, signal: found.signal };
        const status = (await client.admin("status", null, options)) as GroupStatus;
        return { host, status };
      }),
    );
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    signal?.removeEventListener("abort", give);
    found.abort();
  }
}

async function copySnapshot(
  { client, timeoutMs, signal }: BackupCalls,
  host: string,
  sink: BackupSink,
): Promise<SnapshotMeta> {
  const options = { host, timeoutMs, ...(signal === null ? {} : { signal }) };
  await client.admin("barrier", null, options);
  const { index } = await client.admin("snapshot", null, options);
  let meta: SnapshotMeta | null = null;
  let crc = 0;
  for (let offset = 0; meta === null || offset < meta.sizeBytes;) {
    const body = { index, offset, maxBytes: pieceBytes };
    const { snapshot, data } = await client.admin("readSnapshot", body, options);
    meta ??= snapshot;
    if (meta === null || data === null || data.length === 0) {
      const why = `its snapshot at index ${index} was replaced, or cannot be read; its log says why`;
      throw new RaftError("unavailable", `the member at ${host}: ${why}`);
    }
    await sink.append(data);
    crc = crc32(data, crc);
    offset += data.length;
  }
  if (crc === meta.checksum) return meta;
  const why = `its snapshot at index ${index} does not match its checksum`;
  throw new RaftError("storageCorrupt", `the member at ${host}: ${why}; ask another member`);
}
