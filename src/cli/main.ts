#!/usr/bin/env node
/** The program `rafted-value`: finds the verb, runs it, turns what goes wrong into one line. */
import { print, printError } from "./output.js";
import { programHelp, readInput, UsageError, type Verb, verbHelp } from "./usage.js";
import { commandVerb } from "./verbs/command.js";
import { demoVerb } from "./verbs/demo.js";
import { forceRemoveVerb } from "./verbs/force-remove.js";
import { createHelpVerb } from "./verbs/help.js";
import { membersVerb } from "./verbs/members.js";
import { queryVerb } from "./verbs/query.js";
import { removeVerb } from "./verbs/remove.js";
import { replVerb } from "./verbs/repl.js";
import { snapshotVerb } from "./verbs/snapshot.js";
import { startVerb } from "./verbs/start.js";
import { statusVerb } from "./verbs/status.js";
import { transferVerb } from "./verbs/transfer.js";
import { versionVerb } from "./verbs/version.js";

function allVerbs(): readonly Verb[] {
  const verbs: Verb[] = [
    demoVerb,
    startVerb,
    replVerb,
    commandVerb,
    queryVerb,
    statusVerb,
    membersVerb,
    removeVerb,
    transferVerb,
    forceRemoveVerb,
    snapshotVerb,
    versionVerb,
  ];
  return [...verbs, createHelpVerb(verbs)];
}

const aliases: Readonly<Record<string, string>> = Object.freeze({
  "--help": "help",
  "-h": "help",
  "--version": "version",
  "-v": "version",
});

/** 0 done, 1 refused or failed, 2 usage. */
async function main(args: readonly string[]): Promise<number> {
  const verbs = allVerbs();
  const [given, ...rest] = args;
  if (given === undefined) {
    process.stderr.write(programHelp(verbs));
    return 2;
  }
  const name = Object.hasOwn(aliases, given) ? aliases[given]! : given;
  const verb = verbs.find((candidate) => candidate.name === name);
  const json = rest.includes("--json");
  try {
    if (verb === undefined) {
      throw new UsageError(`there is no verb ${JSON.stringify(given)}; see: rafted-value help`);
    }
    const input = readInput(verb, rest);
    if (!input.help) return await verb.run(input);
    print(verbHelp(verb).trimEnd());
    return 0;
  } catch (error) {
    printError(verb?.name ?? null, error, json);
    return error instanceof UsageError ? 2 : 1;
  }
}

// Whoever reads our output may stop reading at any time (`| head`): that is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
process.exitCode = await main(process.argv.slice(2));
