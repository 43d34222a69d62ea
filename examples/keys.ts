/**
 * Keys and values that survive all processes: every change has a revision, a change may ask for the revision that it was
 * made from (compare and set), and who watches asks for what came after the last revision that it has seen.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, defineValue, fileStorage, type GroupClient } from "rafted-value";
import { addressesOf, closeAll, startThreeHosts } from "./three-hosts.js";

export type Entry = { readonly value: string; readonly revision: number };
/** `value` null: the key was removed. */
export type Change = {
  readonly key: string;
  readonly value: string | null;
  readonly revision: number;
};
export type Changes = {
  readonly changes: readonly Change[];
  /** False: older changes than asked for are forgotten, so read the keys and go on from `revision`. */
  readonly complete: boolean;
  readonly revision: number;
};

type Keys = { revision: number; readonly entries: Map<string, Entry>; readonly changes: Change[] };

const keptChanges = 1000;

function record(v: Keys, key: string, value: string | null): number {
  v.revision += 1;
  if (value === null) v.entries.delete(key);
  else v.entries.set(key, { value, revision: v.revision });
  v.changes.push({ key, value, revision: v.revision });
  if (v.changes.length > keptChanges) v.changes.shift();
  return v.revision;
}

export const keys = defineValue({
  name: "keys",
  version: 1,
  mutable: true,
  initial: (): Keys => ({ revision: 0, entries: new Map(), changes: [] }),
  commands: {
    set: (v, arg: { readonly key: string; readonly value: string }): number =>
      record(v, arg.key, arg.value),
    /** Sets the key if it is of that revision still, 0 for a key that is not there; null if it is not. */
    compareAndSet: (
      v,
      arg: { readonly key: string; readonly value: string; readonly revision: number },
    ): number | null => {
      const found = v.entries.get(arg.key)?.revision ?? 0;
      return found === arg.revision ? record(v, arg.key, arg.value) : null;
    },
    remove: (v, key: string): boolean => v.entries.has(key) && record(v, key, null) > 0,
  },
  queries: {
    get: (v, key: string): Entry | null => v.entries.get(key) ?? null,
    changesAfter: (v, revision: number): Changes => ({
      changes: v.changes.filter((change) => change.revision > revision),
      complete: v.revision - v.changes.length <= revision,
      revision: v.revision,
    }),
  },
});

/** Changes one after the other, from the revision on, until the signal; none is left out. */
export async function* watch(
  client: GroupClient<typeof keys>,
  fromRevision: number,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  let revision = fromRevision;
  while (!signal.aborted) {
    const answer = await client.query("changesAfter", revision);
    if (!answer.complete) throw new Error(`the changes after revision ${revision} are forgotten`);
    yield* answer.changes;
    revision = answer.revision;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function main(say: (line: string) => void): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "keys-"));
  const storageOf = (id: string) => fileStorage(join(dir, id));
  try {
    await write(storageOf, say);
    say("all three hosts are down");
    await readAgain(storageOf, say);
  } finally {
    await rm(dir, { recursive: true });
  }
}

type StorageOf = (id: string) => ReturnType<typeof fileStorage>;

async function write(storageOf: StorageOf, say: (line: string) => void): Promise<void> {
  const members = await startThreeHosts(keys, { group: "keys", storageOf });
  const client = connect(keys, { group: "keys", hosts: addressesOf(members) });
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { key, value, revision } of watch(client, 0, stop.signal)) {
      seen.push(`${revision} ${key}=${value}`);
      if (value === null) stop.abort();
    }
  })();
  try {
    const revision = await client.command("set", { key: "color", value: "red" });
    const won = await client.command("compareAndSet", { key: "color", value: "green", revision });
    const lost = await client.command("compareAndSet", { key: "color", value: "blue", revision });
    say(`compare and set from revision ${revision}: ${won}, and once more: ${lost}`);
    await client.command("set", { key: "size", value: "small" });
    await client.command("remove", "size");
    await watching;
    say(`watched: ${seen.join(", ")}`);
  } finally {
    stop.abort();
    await client.close();
    await closeAll(members);
  }
}

/** The three come back at other addresses than they had: each tells the others where it is. */
async function readAgain(storageOf: StorageOf, say: (line: string) => void): Promise<void> {
  const members = await startThreeHosts(keys, { group: "keys", storageOf });
  try {
    const { group } = members[0]!;
    const entry = await group.query("get", "color");
    say(`started again: color is ${entry?.value} of revision ${entry?.revision}`);
    say(`size is ${await group.query("get", "size")}`);
  } finally {
    await closeAll(members);
  }
}
