/** `--value`: the name of a built-in value, or a module that exports one. */
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { RaftError } from "../errors.js";
import { isDefinedValue } from "../value/define.js";
import type { AnyDefinedValue } from "../value/types.js";
import { builtInValue, builtInValues } from "./values.js";

/**
 * The default export if it is a defined value, else the only export that is one.
 *
 * Refuses with RaftError `invalidValue`, which names the file and what was found in it.
 */
export async function loadValue(spec: string): Promise<AnyDefinedValue> {
  const builtIn = builtInValue(spec);
  if (builtIn !== null) return builtIn;
  const path = resolve(spec);
  if (!existsSync(path)) {
    const names = Object.keys(builtInValues).join(", ");
    throw invalid(spec, `there is no such file, nor a built-in value of that name (${names})`);
  }
  if (!statSync(path).isFile()) throw invalid(spec, "is not a file; give the module itself");
  return pick(spec, await load(spec, path));
}

async function load(spec: string, path: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof RaftError) throw invalid(spec, `does not load: ${cause.message}`, cause);
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    const hint = /\.[cm]?tsx?$/.test(path) ? "; compile TypeScript to JavaScript first" : "";
    throw invalid(spec, `does not load: ${why}${hint}`, cause);
  }
}

function pick(spec: string, module: Record<string, unknown>): AnyDefinedValue {
  const fallback = module["default"];
  if (isDefinedValue(fallback)) return fallback;
  // A CommonJS module shows its exports a second time under "module.exports".
  const exports = Object.entries(module).filter(([name]) => name !== "module.exports");
  const values = exports.filter(([, candidate]) => isDefinedValue(candidate));
  const distinct = new Set(values.map(([, candidate]) => candidate));
  if (distinct.size === 1) return values[0]![1] as AnyDefinedValue;
  if (distinct.size > 1) {
    const names = values.map(([name]) => name).join(", ");
    throw invalid(spec, `exports several values (${names}); make one the default export`);
  }
  const found = exports.map(([name, candidate]) => `${name} (${kindOf(candidate)})`).join(", ");
  throw invalid(spec, `exports no value made by defineValue; found: ${found || "no exports"}`);
}

function kindOf(candidate: unknown): string {
  if (candidate === null) return "null";
  return Array.isArray(candidate) ? "array" : typeof candidate;
}

function invalid(spec: string, problem: string, cause?: unknown): RaftError {
  return new RaftError("invalidValue", `--value ${spec}: ${problem}`, { cause });
}
