/** What a verb is, and how its options are read and explained. */
import { parseArgs } from "node:util";
import { messageOf } from "../errors.js";

/** The caller asked for something that the command line does not have: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export type OptionSpec = {
  /** How the value is written in the help, or null for a switch. */
  readonly value: string | null;
  readonly help: string;
};

export type VerbInput = {
  readonly positionals: readonly string[];
  /** Options by name, as given. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly json: boolean;
  /** Null: nothing was given. */
  readonly timeoutMs: number | null;
};

export type Verb = {
  readonly name: string;
  readonly summary: string;
  /** What follows the verb's name, options aside. */
  readonly positionals: string;
  readonly maxPositionals: number;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Further lines of help. */
  readonly notes: readonly string[];
  /** Resolves to the exit code. */
  run(input: VerbInput): Promise<number>;
};

const commonOptions: Readonly<Record<string, OptionSpec>> = Object.freeze({
  "timeout-ms": { value: "N", help: "give up after N milliseconds (5000)" },
  json: { value: null, help: "print JSON, one line" },
  help: { value: null, help: "print this help" },
});

/** For verbs that ask nobody over the network. */
export const localOptions: Readonly<Record<string, OptionSpec>> = Object.freeze({
  "timeout-ms": { value: "N", help: "without effect: nobody is asked over the network" },
});

/** The verb's own first; where it explains a common one itself, its words count. */
function optionsOf(verb: Verb): Readonly<Record<string, OptionSpec>> {
  return { ...verb.options, ...commonOptions, ...verb.options };
}

/** Reads what follows the verb. Refuses with UsageError that names the option. */
export function readInput(verb: Verb, args: readonly string[]): VerbInput & { help: boolean } {
  const options = optionsOf(verb);
  const table = Object.fromEntries(
    Object.entries(options).map(([name, spec]) => [
      name,
      { type: spec.value === null ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  const parsed = parse(verb, args, { ...table, h: { type: "boolean" } });
  const { positionals, values } = parsed;
  const help = values["help"] === true || values["h"] === true;
  if (positionals.length > verb.maxPositionals && !help) {
    const extra = positionals[verb.maxPositionals]!;
    throw new UsageError(`unexpected argument ${JSON.stringify(extra)}${seeHelp(verb)}`);
  }
  const timeout = values["timeout-ms"];
  return {
    positionals,
    options: values,
    json: values["json"] === true,
    timeoutMs: typeof timeout === "string" ? wholeNumber("--timeout-ms", timeout, 1) : null,
    help,
  };
}

type Parsed = {
  readonly positionals: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
};

function parse(
  verb: Verb,
  args: readonly string[],
  options: Record<string, { type: "boolean" | "string" }>,
): Parsed {
  try {
    const given = { args: [...args], options, allowPositionals: true, strict: true } as const;
    const parsed = parseArgs({ ...given, tokens: true });
    checkOnce(verb, parsed.tokens);
    return { positionals: parsed.positionals, values: parsed.values as Parsed["values"] };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    // Node's own message goes on to explain "--", over several sentences: the first one says it.
    const message = messageOf(error);
    const first = message.split(/\.\s|\n/)[0]!;
    const hint = /'-[\d.]/.test(first)
      ? "; an argument that begins with - goes last, behind --"
      : "";
    throw new UsageError(`${first}${hint}${seeHelp(verb)}`);
  }
}

/** Of two values the last one counts, but the addresses of a first list would be dropped in silence. */
function checkOnce(
  verb: Verb,
  tokens: readonly { readonly kind: string; readonly name?: string }[],
): void {
  const specs = optionsOf(verb);
  const seen = new Set<string>();
  for (const { kind, name } of tokens) {
    if (kind !== "option" || name === undefined) continue;
    if (specs[name]?.value?.endsWith(",...") !== true) continue;
    if (seen.has(name)) {
      throw new UsageError(`--${name} is given twice: give one list, with commas${seeHelp(verb)}`);
    }
    seen.add(name);
  }
}

export function seeHelp(verb: Verb): string {
  return `; see: rafted-value help ${verb.name}`;
}

/** The help of one verb. */
export function verbHelp(verb: Verb): string {
  const options = optionsOf(verb);
  const names = Object.entries(options).map(([name, spec]) => ({
    left: `--${name}${spec.value === null ? "" : ` ${spec.value}`}`,
    help: spec.help,
  }));
  const width = Math.max(...names.map(({ left }) => left.length));
  return [
    `rafted-value ${[verb.name, verb.positionals, "[OPTIONS]"].filter((part) => part).join(" ")}`,
    `  ${verb.summary}`,
    "",
    ...names.map(({ left, help }) => `  ${left.padEnd(width)}  ${help}`),
    ...(verb.notes.length > 0 ? ["", ...verb.notes.map((note) => `  ${note}`)] : []),
    "",
  ].join("\n");
}

/** The help of the program. */
export function programHelp(verbs: readonly Verb[]): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  return [
    "rafted-value VERB [OPTIONS]",
    "  Replicates a value over a group of processes.",
    "",
    ...verbs.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "  rafted-value help VERB explains one. Exit codes: 0 done, 1 refused or failed, 2 usage.",
    "",
  ].join("\n");
}

export function requiredText(verb: Verb, input: VerbInput, name: string): string {
  const given = input.options[name];
  if (typeof given === "string" && given !== "") return given;
  throw new UsageError(`--${name} ${verb.options[name]?.value ?? ""} is missing${seeHelp(verb)}`);
}

export function optionalText(input: VerbInput, name: string): string | null {
  const given = input.options[name];
  if (typeof given !== "string") return null;
  if (given === "") throw new UsageError(`--${name} is empty; give it a value or leave it out`);
  return given;
}

export function requiredPositional(verb: Verb, input: VerbInput, what: string): string {
  const given = input.positionals[0];
  if (given !== undefined && given !== "") return given;
  throw new UsageError(`${what} is missing${seeHelp(verb)}`);
}

export function wholeNumber(option: string, text: string, least: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least) return value;
  throw new UsageError(`${option} must be a whole number from ${least} on, not ${show(text)}`);
}

/** One or more `HOST:PORT`, separated by commas. */
export function addressList(option: string, text: string): readonly string[] {
  const addresses = text
    .split(",")
    .map((address) => address.trim())
    .filter((address) => address !== "");
  if (addresses.length === 0) {
    throw new UsageError(`${option} needs addresses such as 127.0.0.1:7101,127.0.0.1:7102`);
  }
  return addresses.map((address) => checkAddress(option, address, 1));
}

/** `HOST:PORT` with a port from `leastPort` to 65535; an IPv6 address stands in brackets. */
export function checkAddress(option: string, address: string, leastPort: number): string {
  const match = /^(?:\[[0-9A-Fa-f:.%]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(address);
  const port = match === null ? -1 : Number(match[1]);
  if (port >= leastPort && port <= 65_535) return address;
  throw new UsageError(
    `${option} must be HOST:PORT with a port from ${leastPort} to 65535, not ${show(address)}`,
  );
}

/** The JSON that was given on the command line. */
export function jsonText(what: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const hint = /^[\w .-]+$/.test(text) ? `; a string needs quotes: '"${text}"'` : "";
    throw new UsageError(`${what} is not JSON: ${show(text)}${hint}`);
  }
}

function show(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
