/**
 * What a chaos run asks of its network, of which there are two: proxies (proxies.ts), which break single
 * connections, and network namespaces (namespaces.ts), which lose packets.
 */
import type { SeededRandom } from "../../src/clock/virtual.js";
import type { Routes } from "./words.js";

export const networkKinds = ["proxies", "namespaces"] as const;
export type NetworkKind = (typeof networkKinds)[number];

export const networkFaults = [
  "cut-one-way",
  "cut-pair",
  "isolate",
  "split",
  "no-route",
  "delay",
  "throttle",
  "loss",
  "reorder",
  "duplicate",
  "big-packets",
  "reset",
  "half-open",
] as const;

export type NetworkFault = (typeof networkFaults)[number];

/** Whom a fault strikes; each kind takes of it what it needs. */
export type Targets = {
  readonly one: string;
  readonly other: string;
  /** All members, in two halves. */
  readonly near: readonly string[];
  readonly far: readonly string[];
  /** Whoever dials, but not `one`. */
  readonly everybodyElse: readonly string[];
  readonly random: SeededRandom;
};

/** Returns whether there was anything to break. */
export type Strike = (targets: Targets) => boolean;

export type Network = {
  readonly kind: NetworkKind;
  /** The kinds of fault that it can do here. */
  readonly strikes: Readonly<Partial<Record<NetworkFault, Strike>>>;
  /** Cables that can be pulled, so that nothing of a dying process reaches anybody; null: it has none. */
  readonly cables: { pull(member: string): void; plug(member: string): void } | null;
  /** What members know each other by: it stays, while processes come and go. */
  addressOf(member: string): string;
  listenOf(member: string): string;
  /** What has to stand before a command that is to run where `id` is. */
  entryTo(id: string): readonly string[];
  /** `target` listens at `address` now, and nowhere else any more. */
  place(target: string, address: string): Promise<void>;
  remove(target: string): Promise<void>;
  routesOf(source: string): Routes;
  /** For the test itself, past whatever harm there is between others; to all members or one. */
  directRoutes(...only: readonly string[]): Routes;
  heal(): void;
  close(): Promise<void>;
};

/** The cuts between pairs, over the one that each network has to know: nothing of `from` reaches `to`. */
export function cutStrikes(
  cutOneWay: (from: string, to: string) => void,
): Pick<Record<NetworkFault, Strike>, "cut-one-way" | "cut-pair" | "split"> {
  const cut = (one: string, other: string): void => {
    cutOneWay(one, other);
    cutOneWay(other, one);
  };
  return {
    "cut-one-way": ({ one, other }) => {
      cutOneWay(one, other);
      return true;
    },
    "cut-pair": ({ one, other }) => {
      cut(one, other);
      return true;
    },
    split: ({ near, far }) => {
      for (const here of near) for (const there of far) cut(here, there);
      return true;
    },
  };
}
