/** What the processes of a chaos run say to each other. */
import type { FileStorageOptions, GroupConfig } from "../../src/index.js";
import type { Version } from "./book.js";

/** Where a process dials instead: addresses of members -> those of its own proxies. */
export type Routes = Readonly<Record<string, string>>;

export type MemberPlan = {
  readonly id: string;
  /** As others know it; where it listens, port 0 for any. */
  readonly address: string;
  readonly listen: string;
  readonly group: string;
  readonly dir: string;
  readonly version: Version;
  /** null: creates the group. */
  readonly join: readonly string[] | null;
  readonly config: Partial<GroupConfig>;
  readonly storage: FileStorageOptions;
};

export type ClientPlan = {
  readonly group: string;
  readonly hosts: readonly string[];
  readonly routes: Routes;
  readonly version: Version;
  readonly seed: number;
  /** Number of the client in the history; another one after a kill. */
  readonly number: number;
  readonly lanes: number;
  /** Where its calls and returns are written as they happen. */
  readonly file: string;
  /** `process.hrtime.bigint()` at which the history begins, in decimal. */
  readonly baseNs: string;
};

export type ToChild =
  | { readonly type: "routes"; readonly routes: Routes }
  /** From now on its wall clock shows so much more than the machine's. */
  | { readonly type: "wallClock"; readonly offsetMs: number }
  | { readonly type: "stop" };

export type FromMember =
  /** It listens here; it goes on when it has heard its routes. */
  | { readonly type: "listening"; readonly address: string }
  | { readonly type: "ready"; readonly memberId: string }
  /** It could not enter the group. */
  | { readonly type: "refused"; readonly code: string; readonly message: string }
  /** A line of its log that no healthy member writes. */
  | { readonly type: "complaint"; readonly message: string }
  /** The member has ended by itself: it was taken out, or it broke. */
  | { readonly type: "ended" };

export type FromClient = {
  readonly type: "complaint";
  readonly message: string;
};

/** Where what comes in at the socket beside it is to go. */
export type ToGate = { readonly host: string; readonly port: number };

export type GatePlan = { readonly doors: number };

/** It has all its doors. */
export type FromGate = { readonly type: "open" };

/** A line of a client's file. */
export type Line =
  | {
      readonly type: "call";
      readonly n: number;
      readonly at: number;
      readonly kind: "command" | "query";
      readonly name: string;
      readonly arg: unknown;
    }
  | {
      readonly type: "return";
      readonly n: number;
      readonly at: number;
      readonly outcome: "ok" | "failed" | "unknown";
      readonly reply: unknown;
    };
