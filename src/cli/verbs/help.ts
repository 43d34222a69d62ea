/** `help [VERB]` */
import { print, toJson } from "../output.js";
import { localOptions, programHelp, UsageError, type Verb, verbHelp } from "../usage.js";

/** The verb that explains all of them, itself included. */
export function createHelpVerb(loadAll: () => Promise<readonly Verb[]>): Verb {
  return {
    name: "help",
    summary: "Explain the program or one verb.",
    positionals: "[VERB]",
    maxPositionals: 1,
    options: localOptions,
    notes: [],
    async run(input) {
      const text = helpText(await loadAll(), input.positionals[0]);
      print(input.json ? toJson({ help: text }) : text.trimEnd());
      return 0;
    },
  };
}

function helpText(verbs: readonly Verb[], name: string | undefined): string {
  if (name === undefined) return programHelp(verbs);
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verbHelp(verb);
  throw new UsageError(`there is no verb ${JSON.stringify(name)}; see: rafted-value help`);
}
