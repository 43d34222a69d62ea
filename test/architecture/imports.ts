/** Who may import whom: directions between rooms, Node's own modules, packages, no cycles. */
import { posix } from "node:path";
import type { SourceFacts } from "./source.js";

type Allowed = {
  readonly values: readonly string[];
  /** Rooms from which only types may come, which are gone at run time. */
  readonly types: readonly string[];
};

const engine = ["errors", "core", "value", "replica", "codec"];
const adapters = ["transport", "storage", "clock"];

/** `core <- value <- replica <- member <- host <- {sim, cli}`; adapters see ports and codec. */
export const rooms: Readonly<Record<string, Allowed>> = Object.freeze({
  errors: { values: [], types: [] },
  "integer-map": { values: [], types: [] },
  numbers: { values: [], types: [] },
  ports: { values: [], types: ["core"] },
  logging: { values: ["errors"], types: ["ports"] },
  "packed-entries": { values: ["errors", "numbers"], types: ["core"] },
  core: { values: ["errors", "packed-entries"], types: [] },
  value: { values: ["core", "errors", "integer-map"], types: ["ports"] },
  replica: { values: ["core", "value", "errors"], types: ["ports"] },
  codec: { values: ["errors", "numbers", "packed-entries"], types: ["ports", "core"] },
  transport: { values: ["codec", "errors", "logging"], types: ["ports"] },
  storage: { values: ["codec", "errors", "packed-entries"], types: ["ports", "core"] },
  clock: { values: ["errors"], types: ["ports"] },
  member: { values: [...engine, "integer-map"], types: ["ports", "client"] },
  client: {
    values: ["value", "codec", "errors", "integer-map", "logging"],
    types: ["ports", "core"],
  },
  host: { values: [...engine, "member", "client", "logging", "numbers"], types: ["ports"] },
  contract: { values: ["errors", "codec", "core"], types: ["ports"] },
  sim: {
    values: [...engine, ...adapters, "member", "client", "host", "contract"],
    types: ["ports"],
  },
  tools: { values: [...engine, ...adapters, "client", "host"], types: ["ports"] },
  index: {
    values: [...engine, ...adapters, "member", "client", "host", "tools"],
    types: ["ports"],
  },
  cli: { values: [...engine, ...adapters, "member", "client", "host", "index"], types: ["ports"] },
});

/** Files that put the parts together, with what they may name beyond their room. */
export const composition: Readonly<Record<string, readonly string[]>> = Object.freeze({
  "src/client/index.ts": ["transport", "clock"],
});

/** Where Node's own modules may appear. */
export const nodePlaces: readonly RegExp[] = Object.freeze([
  // All of the TCP transport, which is everything there but the one in memory.
  /^src\/transport\/(?!memory)/,
  /^src\/storage\/file\//,
  /^src\/clock\/system\.ts$/,
  // Its check of UTF-8, which asks for nothing but the bytes.
  /^src\/codec\/value-scan\.ts$/,
  /^src\/cli\//,
  // Tests that ship: of Node's runner.
  /^src\/contract\//,
  // The program around the simulator: arguments, processes, files of seeds.
  /^src\/sim\/(main|explore-main)\.ts$/,
]);

/** Packages from the registry, and the one place that knows each. */
export const packagePlaces: Readonly<Record<string, RegExp>> = Object.freeze({
  "cbor-x": /^src\/codec\/value(s|-[\w-]+)\.ts$/,
});

export function roomOf(path: string): string {
  return path.split("/")[1]!.replace(/\.ts$/, "");
}

/** The file that a relative import means, from the root. */
export function targetOf(path: string, specifier: string): string {
  return posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts");
}

/** A line for each import that goes the wrong way. */
export function checkImports(facts: SourceFacts): readonly string[] {
  const room = roomOf(facts.path);
  const allowed = rooms[room];
  if (allowed === undefined)
    return [`${facts.path}: ${room} is a room that the table does not know`];
  return facts.imports.flatMap(({ specifier, typeOnly, line }) => {
    const place = `${facts.path}:${line}`;
    if (!specifier.startsWith(".")) return checkPackage(place, facts.path, specifier);
    const target = roomOf(targetOf(facts.path, specifier));
    if (!specifier.endsWith(".js")) return [`${place}: ${specifier} must end with .js`];
    if (target === room || allowed.values.includes(target)) return [];
    if (composition[facts.path]?.includes(target) === true) return [];
    if (allowed.types.includes(target)) {
      return typeOnly ? [] : [`${place}: from ${target}, ${room} may import types only`];
    }
    return [`${place}: ${room} must not import from ${target}`];
  });
}

function checkPackage(place: string, path: string, specifier: string): readonly string[] {
  if (specifier.startsWith("node:")) {
    if (nodePlaces.some((pattern) => pattern.test(path))) return [];
    return [`${place}: ${specifier} may not be used here`];
  }
  if (packagePlaces[specifier.split("/")[0]!]?.test(path) === true) return [];
  return [`${place}: package ${specifier} may not be used here`];
}

/** A line for each cycle of imports that run code: such modules have no order to start in. */
export function findCycles(sources: readonly SourceFacts[]): readonly string[] {
  const edges = new Map(
    sources.map((facts) => [
      facts.path,
      facts.imports
        .filter(({ specifier, typeOnly }) => specifier.startsWith(".") && !typeOnly)
        .map(({ specifier }) => targetOf(facts.path, specifier)),
    ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push(`cycle: ${[...trail.slice(start), path].join(" -> ")}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}
