/** From a failing run to a smaller one: shorter, with fewer kinds of fault. */
import { faultNames } from "./nemesis.js";
import { runSimulation, type SimulationOptions, type SimulationResult } from "./simulation.js";

export type Shrunk = {
  readonly options: SimulationOptions;
  readonly result: SimulationResult;
  readonly runs: number;
};

/** Runs at most `maxRuns` times. What it returns fails; it may fail in another way than before. */
export async function shrink(
  options: SimulationOptions,
  failing: SimulationResult,
  maxRuns = 40,
): Promise<Shrunk> {
  let best = { options: withoutTrace(options), result: failing };
  let runs = 0;
  const attempt = async (change: Partial<SimulationOptions>): Promise<boolean> => {
    if (runs >= maxRuns) return false;
    runs += 1;
    const candidate = { ...best.options, ...change };
    const result = await runSimulation(candidate);
    if (result.failure === null) return false;
    best = { options: candidate, result };
    return true;
  };
  const struck = faultNames.filter((name) => (failing.faults.get(name) ?? 0) > 0);
  const enabled = options.faults ?? faultNames;
  await attempt({ faults: enabled.filter((name) => struck.includes(name)) });
  for (const share of [0.1, 0.25, 0.5, 0.75]) {
    if (await attempt({ durationMs: Math.ceil(failing.durationMs * share) })) break;
  }
  // Halves first, then one by one: most kinds have nothing to do with it.
  for (let size = (best.options.faults ?? faultNames).length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < (best.options.faults ?? faultNames).length;) {
      const faults = [...(best.options.faults ?? faultNames)];
      faults.splice(at, size);
      if (!(await attempt({ faults }))) at += size;
    }
  }
  for (const change of [{ groups: 1 }, { clients: 1 }, { clients: 2 }, { machines: 3 }]) {
    await attempt({ settings: { ...best.options.settings, ...change } });
  }
  return { ...best, runs };
}

function withoutTrace(options: SimulationOptions): SimulationOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => name !== "trace"),
  ) as SimulationOptions;
}

/** The command that shows this run again. */
export function reproduce({ seed, durationMs, faults, settings }: SimulationOptions): string {
  const parts = ["npm run sim --", `--seed ${seedText(seed)}`];
  if (durationMs !== undefined) parts.push(`--duration-ms ${Math.ceil(durationMs)}`);
  if (faults !== undefined)
    parts.push(`--nemesis ${faults.length === 0 ? "none" : faults.join(",")}`);
  for (const name of ["machines", "groups", "clients", "durable"] as const) {
    if (settings?.[name] !== undefined) parts.push(`--${name} ${settings[name]}`);
  }
  return parts.join(" ");
}

export function seedText(seed: SimulationOptions["seed"]): string {
  if (typeof seed === "number") return String(seed);
  return String((BigInt(seed[1] >>> 0) << 32n) | BigInt(seed[0] >>> 0));
}

/** Any 64 bits, in decimal or 0x; null if it is no such number. */
export function parseSeed(text: string): readonly [low: number, high: number] | null {
  if (!/^(\d{1,20}|0x[0-9a-fA-F]{1,16})$/.test(text)) return null;
  const bits = BigInt(text);
  if (bits >= 1n << 64n) return null;
  return [Number(bits & 0xffff_ffffn), Number(bits >> 32n)];
}
