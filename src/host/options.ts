/** What `startHost` and `host.group` are given, checked by name. */
import type { GroupConfigChange } from "../core/types.js";
import { isGroupName, missingMethod } from "../client/options.js";
import { isOptions, RaftError, show, unknownName } from "../errors.js";
import type { GroupHooks } from "../member/types.js";
import type { Clock, Codec, Logger, Random, Storage, Transport } from "../ports.js";
import { isDefinedValue } from "../value/define.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { HostLimits } from "./limits.js";

export type HostOptions = {
  /** 1 to 64 letters, digits or `_ . -`; unique among the hosts of a group. */
  readonly id: string;
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** Where others reach this host, if that is not where it listens. */
  readonly advertise?: string | undefined;
  /** Default: memory. */
  readonly storage?: Storage | undefined;
  /** Default: TCP. */
  readonly transport?: Transport | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** Default: silent. */
  readonly logger?: Logger | undefined;
  readonly limits?: Partial<HostLimits> | undefined;
  /**
   * Freeze values and arguments, so that a pure handler that mutates them fails at once. Default:
   * outside production (`NODE_ENV`).
   */
  readonly freeze?: boolean | undefined;
};

/** The options with every port there. */
export type HostPorts = {
  readonly id: string;
  readonly listen: string;
  readonly advertise: string | null;
  readonly storage: Storage;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly codec: Codec;
  readonly limits: HostLimits;
  readonly freeze: boolean;
  /** Entries that a member applies in one turn; only the simulator has less than usual. */
  readonly maxAppliedPerTurn?: number | undefined;
};

export type GroupStart = "create" | { readonly join: readonly string[] };

/**
 * `"refuse"`: `host.group` rejects with `storageCorrupt`, which says where the damage is; an operator
 * decides. `"rejoin"`: the damaged copy is kept beside the storage as it is, which is logged in one line
 * as a warning, and the host joins through `start.join` as a new member that replaces its former self,
 * as it would with a storage that was lost. A copy that is not damaged is never set aside, nothing is
 * set aside where more than one group is concerned (a lost identity, an unreadable beginning of the
 * log), and no group is ever created over a damaged one: without an address in `start.join`, `"rejoin"`
 * is refused (`invalidArgument`). Damaged on so many hosts that no leader is left, the group takes
 * nobody in: joining rejects, and what was set aside is what there is to recover from.
 *
 * @example
 * ```ts
 * const host = await startHost({
 *   id: "bar",
 *   listen: "127.0.0.1:7102",
 *   storage: fileStorage("/var/lib/bar"),
 * });
 * const group = await host.group("queue", queue, {
 *   start: { join: ["127.0.0.1:7101", "127.0.0.1:7103"] },
 *   onDamage: "rejoin",
 * });
 * ```
 */
export type DamagePolicy = "refuse" | "rejoin";

export type GroupOptions = {
  /**
   * Begins or joins only if the storage holds nothing of the group yet. Who is a member already looks at the
   * addresses of `join` as well for the others, should these have moved.
   */
  readonly start: GroupStart;
  /** Of a new group; one that exists has its own, see `changeConfig`. */
  readonly config?: GroupConfigChange | undefined;
  readonly hooks?: GroupHooks | undefined;
  /** Joining: until the group has taken the member in, and between signs of progress after. Default 5000. */
  readonly timeoutMs?: number | undefined;
  /** What becomes of this host's copy of the group if the storage finds it damaged. Default: "refuse". */
  readonly onDamage?: DamagePolicy | undefined;
};

export const silentLogger: Logger = Object.freeze({
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
});

const hookNames: ReadonlySet<string> = new Set<keyof GroupHooks>([
  "onCommandCommitted",
  "onQueryAnswered",
  "onFollowerAdded",
  "onFollowerRemoved",
  "onElected",
  "onRestored",
]);

function refuse(message: string): never {
  throw new RaftError("invalidArgument", message);
}

const hostOptionNames: readonly string[] = Object.keys({
  ...{ id: true, listen: true, advertise: true, storage: true, transport: true, clock: true },
  ...{ random: true, logger: true, limits: true, freeze: true, tls: true },
} satisfies Record<keyof HostOptions | "tls", true>);

const groupOptionNames: readonly string[] = Object.keys({
  ...{ start: true, config: true, hooks: true, timeoutMs: true, onDamage: true },
} satisfies Record<keyof GroupOptions, true>);

export function checkHostOptions(options: unknown): asserts options is HostOptions {
  if (!isOptions(options)) {
    refuse(`options: expected an object such as { id: "foo", listen: "127.0.0.1:7101" }`);
  }
  checkNames(options, hostOptionNames);
}

/** `within`: the field whose options they are, with a dot. */
function checkNames(options: object, names: readonly string[], within = ""): void {
  const strange = unknownName(options, names);
  if (strange === undefined) return;
  refuse(`${within}${strange}: no such option; there are ${names.join(", ")}`);
}

export function checkHostId(id: unknown): void {
  if (typeof id === "string" && /^[A-Za-z0-9_.-]{1,64}$/.test(id)) return;
  refuse(`id: expected 1 to 64 letters, digits or _ . - , got ${show(id)}`);
}

export function checkAddress(field: string, address: unknown): void {
  if (typeof address === "string" && address.length > 0 && address.length <= 512) return;
  refuse(`${field}: expected an address such as "127.0.0.1:7101", got ${show(address)}`);
}

/**
 * Whom a newcomer asks: each once, and not itself, which all hosts may be told in one list. Nobody to ask is good enough for a
 * member that the storage already holds, and for no other.
 */
export function othersToJoin(join: readonly string[], own: string): readonly string[] {
  const others = [...new Set(join)].filter((address) => address !== own);
  if (others.length > 0) return others;
  const what = "the storage holds no member of the group, so an address to join is needed";
  refuse(`start.join: ${what}${join.length === 0 ? "" : `, and ${own} is this host's own`}`);
}

export function checkFreeze(freeze: unknown): void {
  if (freeze === undefined || typeof freeze === "boolean") return;
  refuse(`freeze: expected true or false, got ${show(freeze)}`);
}

export function checkPort(field: string, port: unknown, methods: readonly string[]): void {
  const missing = missingMethod(port, methods);
  if (missing === undefined) return;
  refuse(`${field}: expected an object with a method "${missing}", got ${show(port)}`);
}

export function checkGroupName(name: unknown): void {
  if (isGroupName(name)) return;
  refuse(`group name: expected 1 to 64 letters, digits or _ . : - , got ${show(name)}`);
}

export function checkDefinition(definition: unknown): asserts definition is AnyDefinedValue {
  if (isDefinedValue(definition)) return;
  throw new RaftError(
    "invalidValue",
    `value: expected what defineValue returns, got ${show(definition)}`,
  );
}

export function checkGroupOptions(options: unknown): asserts options is GroupOptions {
  if (!isOptions(options)) {
    refuse(`options: expected an object such as { start: "create" }, got ${show(options)}`);
  }
  checkNames(options, groupOptionNames);
  const given = options as Partial<Record<keyof GroupOptions, unknown>>;
  const { start, hooks, timeoutMs, onDamage } = given;
  checkStart(start);
  if (onDamage !== undefined) checkOnDamage(onDamage, start as GroupStart);
  if (hooks !== undefined) checkHooks(hooks);
  const bad = typeof timeoutMs !== "number" || !Number.isFinite(timeoutMs) || timeoutMs < 1;
  if (timeoutMs !== undefined && bad) {
    refuse(`timeoutMs: expected milliseconds, 1 or more, got ${show(timeoutMs)}`);
  }
}

function checkStart(start: unknown): void {
  if (start === "create") return;
  const join = (start as { readonly join?: unknown } | null | undefined)?.join;
  if (typeof join === "string") {
    refuse(`start.join: expected an array of addresses, such as [${show(join)}]`);
  }
  if (!Array.isArray(join)) {
    refuse(`start: expected "create" or { join: [address, ...] }, got ${show(start)}`);
  }
  checkNames(start as object, ["join"], "start.");
  join.forEach((address: unknown, at) => checkAddress(`start.join[${at}]`, address));
}

/** Here and not when damage is found: that is too late to learn that the policy cannot be followed. */
function checkOnDamage(onDamage: unknown, start: GroupStart): void {
  if (onDamage === "refuse") return;
  if (onDamage !== "rejoin") {
    refuse(`onDamage: expected "refuse" or "rejoin", got ${show(onDamage)}`);
  }
  if (start !== "create" && start.join.length > 0) return;
  refuse(
    `onDamage: "rejoin" needs an address to rejoin through, in start: { join: [address, ...] }`,
  );
}

function checkHooks(hooks: unknown): void {
  if (!isOptions(hooks)) {
    refuse(`hooks: expected an object of functions, got ${show(hooks)}`);
  }
  for (const [name, hook] of Object.entries(hooks as object)) {
    if (!hookNames.has(name)) {
      refuse(`hooks.${name}: no such hook; there are ${[...hookNames].join(", ")}`);
    }
    if (hook !== undefined && typeof hook !== "function") {
      refuse(`hooks.${name}: expected a function, got ${show(hook)}`);
    }
  }
}
