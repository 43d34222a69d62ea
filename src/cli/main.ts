#!/usr/bin/env node
/** The program `rafted-value`: finds the verb, runs it, turns what goes wrong into one line. */
import { print, printError } from "./output.js";
import { programHelp, readInput, UsageError, type Verb, verbHelp } from "./usage.js";

/** Loaded by need: most verbs need no host, and a command line should answer at once. */
const loaders: Readonly<Record<string, () => Promise<Verb>>> = Object.freeze({
  demo: async () => (await import("./verbs/demo.js")).demoVerb,
  start: async () => (await import("./verbs/start.js")).startVerb,
  repl: async () => (await import("./verbs/repl.js")).replVerb,
  command: async () => (await import("./verbs/command.js")).commandVerb,
  query: async () => (await import("./verbs/query.js")).queryVerb,
  status: async () => (await import("./verbs/status.js")).statusVerb,
  members: async () => (await import("./verbs/members.js")).membersVerb,
  remove: async () => (await import("./verbs/remove.js")).removeVerb,
  transfer: async () => (await import("./verbs/transfer.js")).transferVerb,
  "force-remove": async () => (await import("./verbs/force-remove.js")).forceRemoveVerb,
  snapshot: async () => (await import("./verbs/snapshot.js")).snapshotVerb,
  inspect: async () => (await import("./verbs/inspect.js")).inspectVerb,
  doctor: async () => (await import("./verbs/doctor.js")).doctorVerb,
  backup: async () => (await import("./verbs/backup.js")).backupVerb,
  restore: async () => (await import("./verbs/restore.js")).restoreVerb,
  recover: async () => (await import("./verbs/recover.js")).recoverVerb,
  version: async () => (await import("./verbs/version.js")).versionVerb,
  help: async () => (await import("./verbs/help.js")).createHelpVerb(loadAll),
});

const aliases: Readonly<Record<string, string>> = Object.freeze({
  "--help": "help",
  "-h": "help",
  "--version": "version",
  "-v": "version",
});

function loadAll(): Promise<readonly Verb[]> {
  return Promise.all(Object.values(loaders).map((load) => load()));
}

/** 0 done, 1 refused or failed, 2 usage. */
async function main(args: readonly string[]): Promise<number> {
  const [given, ...rest] = args;
  if (given === undefined) {
    process.stderr.write(programHelp(await loadAll()));
    return 2;
  }
  const name = Object.hasOwn(aliases, given) ? aliases[given]! : given;
  const known = Object.hasOwn(loaders, name);
  try {
    if (!known) {
      throw new UsageError(`there is no verb ${JSON.stringify(given)}; see: rafted-value help`);
    }
    const verb = await loaders[name]!();
    const input = readInput(verb, rest);
    if (!input.help) return await verb.run(input);
    print(verbHelp(verb).trimEnd());
    return 0;
  } catch (error) {
    printError(known ? name : null, error, rest.includes("--json"));
    return error instanceof UsageError ? 2 : 1;
  }
}

/** The code to end with: output for which there is no room is a failure. */
async function runWithOutput(args: readonly string[]): Promise<number> {
  let unwritten = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever reads our output may stop reading at any time (`| head`): that is no failure of ours.
    if (error.code === "EPIPE" || unwritten) return;
    unwritten = true;
    process.exitCode = 1;
    printError(null, new Error(`stdout cannot be written: ${error.message}`), false);
  });
  // A member serves on when its log has no reader or no room any more; nobody is left who could be told.
  process.stderr.on("error", () => undefined);
  const code = await main(args);
  return unwritten && code === 0 ? 1 : code;
}

process.exitCode = await runWithOutput(process.argv.slice(2));
