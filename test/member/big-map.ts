/** A value whose snapshot takes several turns, for the tests of members that take one, send one or are sent one. */
import type { GroupConfig, InstallSnapshot, SnapshotMeta, Term } from "../../src/core/types.js";
import { defineValue } from "../../src/value/define.js";
import { Lab } from "./harness.js";

export const entries = 20_000;
export const bigMap = defineValue({
  name: "map",
  version: 1,
  initial: () => new Map<string, number>(),
  commands: {
    fill: (map, count: number) => ({
      reply: map.size,
      value: new Map(Array.from({ length: count }, (_, i) => [`key-${i}`, i])),
    }),
  },
  queries: { size: (map) => map.size },
});

/** A leader with a large value. */
export async function leadingLab(change: Partial<GroupConfig> = {}): Promise<Lab> {
  const lab = new Lab(bigMap);
  await lab.restore(change);
  lab.lead();
  const session = lab.register();
  lab.command(2, session, 1, "fill", entries);
  lab.settle();
  lab.acknowledge();
  return lab;
}

export type MadeSnapshot = {
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
  readonly term: Term;
};

/** What it has to send. */
export async function makeSnapshot(): Promise<MadeSnapshot> {
  const lab = await leadingLab();
  lab.admin(3, "snapshot", null);
  lab.settle();
  const meta = lab.member.replica.core.snapshot!;
  const data = new Uint8Array(Buffer.concat(await lab.storage.loadSnapshot("g")));
  return { meta, data, term: lab.member.term };
}

/** Every look at the clock takes a while. */
export function slowDown({ clock }: Lab): void {
  const nowMs = clock.nowMs.bind(clock);
  clock.nowMs = () => {
    clock.advance(5);
    return nowMs();
  };
}

/** The leader's message with those bytes of it. */
export function chunkOf(
  { meta, data, term }: MadeSnapshot,
  from = 0,
  to = data.length,
): InstallSnapshot {
  const chunk = { type: "installSnapshot", term, snapshot: meta, offset: from } as const;
  return { ...chunk, data: data.subarray(from, to), round: 0, sentAtMs: 0, promiseMs: 1000 };
}
