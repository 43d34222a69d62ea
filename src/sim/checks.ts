/**
 * What users of the test kit hand in: deep in the simulation a mistake would end the process, or pass
 * for a defect of the library.
 */
import { RaftError, show, unknownName } from "../errors.js";
import { isDefinedValue } from "../value/define.js";
import type { SimulationSettings } from "./settings.js";
import type { Workload, WorkloadCall } from "./workload.js";

export function checkValue(value: unknown): void {
  if (isDefinedValue(value)) return;
  throw new RaftError("invalidValue", "value: expected what defineValue returns");
}

/** `example`: the least that is needed. */
export function checkOptions(options: unknown, example: string, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw refused(`options: expected an object such as ${example}, got ${show(options)}`);
  }
  const strange = unknownName(options, names);
  if (strange === undefined) return;
  throw refused(`${strange}: no such option; there are ${names.join(", ")}`);
}

export function checkSeed(seed: unknown): void {
  const isNumber = Number.isSafeInteger(seed) && (seed as number) >= 0;
  if (isNumber || (Array.isArray(seed) && seed.length === 2 && seed.every(isWord))) return;
  throw refused(
    `seed: expected a whole number of 0 or more, or two 32-bit words, got ${show(seed)}`,
  );
}

function isWord(part: unknown): boolean {
  return Number.isInteger(part) && (part as number) >= 0 && (part as number) < 2 ** 32;
}

/** Time that is no number would never be over. */
export function checkMs(field: string, ms: unknown, leastMs = 0): void {
  if (Number.isFinite(ms) && (ms as number) >= leastMs) return;
  throw refused(`${field}: expected milliseconds, ${leastMs} or more, got ${show(ms)}`);
}

export function checkMachines(machines: unknown): void {
  if (Number.isInteger(machines) && (machines as number) >= 1 && (machines as number) <= 7) return;
  throw refused(`machines: expected 1 to 7, got ${show(machines)}`);
}

const settingNames: readonly string[] = Object.keys({
  ...{ machines: true, durable: true, groups: true, clients: true, keys: true },
  ...{ mutableValue: true, minDelayMs: true, config: true, client: true, ownIds: true },
} satisfies Record<keyof SimulationSettings, true>);

/** What the seed is not to draw. */
export function checkSettings(settings: Partial<SimulationSettings>): void {
  const strange = unknownName(settings, settingNames);
  if (strange !== undefined) {
    throw refused(`settings.${strange}: no such setting; there are ${settingNames.join(", ")}`);
  }
  const { machines, minDelayMs, ownIds } = settings;
  if (machines !== undefined) checkMachines(machines);
  if (minDelayMs !== undefined) checkMs("settings.minDelayMs", minDelayMs);
  if (ownIds !== undefined && !(ownIds >= 0 && ownIds <= 1)) {
    throw refused(`settings.ownIds: expected a share of 0 to 1, got ${show(ownIds)}`);
  }
  for (const name of ["groups", "clients", "keys"] as const) {
    const count = settings[name];
    if (count === undefined || (Number.isSafeInteger(count) && count > 0)) continue;
    throw refused(`settings.${name}: expected a whole number of 1 or more, got ${show(count)}`);
  }
}

export function checkWorkload(workload: unknown): void {
  if (typeof (workload as Partial<Workload> | undefined)?.next === "function") return;
  throw refused(`workload: expected an object with a method "next"`);
}

const kinds: readonly string[] = ["command", "query", "stale"] satisfies WorkloadCall["kind"][];

/** What `next` of a workload has returned. */
export function checkWorkloadCall(call: unknown): asserts call is WorkloadCall {
  if (typeof call !== "object" || call === null) {
    throw refused(`workload: expected a call of next, such as ${exampleCall}, got ${show(call)}`);
  }
  const { kind } = call as { readonly kind?: unknown };
  if (typeof kind === "string" && kinds.includes(kind)) return;
  const known = kinds.map((each) => JSON.stringify(each)).join(", ");
  throw refused(`workload: kind of a call must be one of ${known}, got ${show(kind)}`);
}

const exampleCall = `{ kind: "command", name: "enqueue", arg: "a" }`;

function refused(message: string): RaftError {
  return new RaftError("invalidArgument", message);
}
