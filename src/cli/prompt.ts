/**
 * The prompt of `start --repl` and `repl`: JavaScript, line by line, with the group's calls at hand.
 *
 * What a line gives is awaited and printed; the next line starts after that, so a session that is
 * piped in reads like one that is typed.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { inspect } from "node:util";
import { RaftError } from "../errors.js";
import type { AnyDefinedValue } from "../value/types.js";
import { evaluate, type Scope } from "./evaluate.js";
import type { AnyGroup } from "./open-group.js";
import { errorLine } from "./output.js";

export type PromptOptions = {
  readonly group: AnyGroup;
  readonly definition: AnyDefinedValue;
  readonly input: Readable;
  readonly output: Writable;
  /** Lines are edited, completed and echoed; false for a pipe. */
  readonly terminal: boolean;
  readonly prompt: string;
  /** Keeps the typed lines over sessions; null: only in memory. */
  readonly historyFile: string | null;
  /** Ends the session from outside. */
  readonly signal: AbortSignal;
};

const historySize = 1000;

/**
 * Resolves when the session was ended: `.exit`, Ctrl-D, the end of the input or the signal. True if
 * no line failed.
 */
export async function runPrompt(options: PromptOptions): Promise<boolean> {
  const { historyFile, output, terminal } = options;
  const scope = createScope(options.group, options.definition);
  const words = Object.keys(scope);
  const lines = createInterface({
    input: options.input,
    ...(terminal ? { output } : {}),
    terminal,
    historySize,
    history: readHistory(historyFile),
    completer: (line: string) => complete(line, options.definition, words),
  });
  const print = (text: string): void => void output.write(`${text}\n`);
  options.signal.addEventListener("abort", () => lines.close(), { once: true });
  if (terminal) print(banner(options.definition));
  const session: Session = { scope, print, pending: "", good: true };
  // Piped input ends while lines of it still wait; from Node 24 on, a prompt is refused then.
  let ended = false;
  lines.once("close", () => (ended = true));
  const ask = (): void => {
    if (ended) return;
    lines.setPrompt(session.pending === "" ? options.prompt : "... ");
    lines.prompt();
  };
  // Ctrl-C drops what was typed so far, and on an empty line ends the session.
  lines.on("SIGINT", () => {
    if (lines.line === "" && session.pending === "") return lines.close();
    session.pending = "";
    lines.write(null, { ctrl: true, name: "u" });
    ask();
  });
  ask();
  for await (const line of lines) {
    rememberLine(historyFile, line);
    if (session.pending === "" && endings.includes(line.trim())) break;
    await takeLine(session, line);
    if (options.signal.aborted) break;
    ask();
  }
  lines.close();
  if (session.pending !== "") {
    print("the last line was left unfinished");
    return false;
  }
  return session.good;
}

const endings: readonly string[] = Object.freeze([".exit", "exit", "exit()", "quit"]);

type Session = {
  readonly scope: Scope;
  readonly print: (text: string) => void;
  /** Lines that belong together and are not complete yet. */
  pending: string;
  good: boolean;
};

async function takeLine(session: Session, line: string): Promise<void> {
  const typed = session.pending === "" && /^\.?help$/.test(line.trim()) ? "help()" : line;
  const code = session.pending === "" ? typed : `${session.pending}\n${typed}`;
  const result = await evaluate(code, session.scope);
  session.pending = result.type === "incomplete" ? code : "";
  if (result.type === "value") session.print(show(result.value));
  if (result.type === "thrown") {
    session.good = false;
    session.print(describeError(result.error));
  }
}

function banner(definition: AnyDefinedValue): string {
  return `value ${definition.name}, version ${definition.version}; help() lists the calls, .exit ends`;
}

/** Help is text for reading, not a string literal. */
class Text {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function show(value: unknown): string {
  return value instanceof Text ? value.text : inspect(value, { depth: 8, colors: false });
}

function describeError(error: unknown): string {
  if (error instanceof RaftError) {
    const { code, message } = errorLine(error);
    return `${code}: ${message}`;
  }
  return error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${inspect(error)}`;
}

/** The calls of a group as functions of their own. */
function createScope(group: AnyGroup, definition: AnyDefinedValue): Scope {
  return {
    command: (name: string, ...rest: readonly unknown[]) => kept(group.command(name, ...rest)),
    query: (name: string, ...rest: readonly unknown[]) => kept(group.query(name, ...rest)),
    queryStale: (name: string, ...rest: readonly unknown[]) =>
      kept(group.queryStale(name, ...rest)),
    status: () => kept(group.status()),
    members: () => kept(group.status().then(({ members }) => members)),
    changeConfig: (change: object) => kept(group.changeConfig(change)),
    removeMember: (id: string) => kept(group.removeMember(id)),
    transferLeadership: (id: string | null) => kept(group.transferLeadership(id)),
    snapshot: () => kept(group.snapshot()),
    help: () => new Text(helpText(definition)),
  };
}

/** A call that is not awaited, as in a loop, must not end the process when it is refused. */
function kept<T>(call: Promise<T>): Promise<T> {
  call.catch(() => undefined);
  return call;
}

function helpText(definition: AnyDefinedValue): string {
  const names = (table: object): string => Object.keys(table).join(", ") || "none";
  return [
    `command(NAME, argument, options)   NAME: ${names(definition.commands as object)}`,
    `query(NAME, argument, options)     NAME: ${names(definition.queries as object)}`,
    "queryStale(NAME, argument)         one member's own copy",
    "status()  members()  snapshot()",
    "changeConfig({ ... })  removeMember(ID)  transferLeadership(ID)",
    ".exit or Ctrl-D ends the session",
  ].join("\n");
}

/** Completes the calls' names, and inside a call the value's commands or queries. */
export function complete(
  line: string,
  definition: AnyDefinedValue,
  words: readonly string[],
): [string[], string] {
  const call = /\b(command|query|queryStale)\(\s*(["'`])([\w$]*)$/.exec(line);
  if (call !== null) {
    const [, kind, quote, begun] = call as unknown as [string, string, string, string];
    const table = (kind === "command" ? definition.commands : definition.queries) as object;
    const names = Object.keys(table).filter((name) => name.startsWith(begun));
    return [names.map((name) => `${quote}${name}${quote}`), `${quote}${begun}`];
  }
  const begun = /[\w$]*$/.exec(line)![0];
  const matching = words.filter((word) => word.startsWith(begun)).map((word) => `${word}(`);
  return [matching, begun];
}

/** Newest first, as readline wants it. */
function readHistory(file: string | null): string[] {
  if (file === null || !existsSync(file)) return [];
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  return lines.slice(-historySize).reverse();
}

function rememberLine(file: string | null, line: string): void {
  if (file !== null && line.trim() !== "") appendFileSync(file, `${line}\n`, { mode: 0o600 });
}
