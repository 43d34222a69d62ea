/** `help [VERB]` */
import { print, toJson } from "../output.js";
import { programHelp, UsageError, type Verb, verbHelp } from "../usage.js";

/** The verb that explains the others needs to know them. */
export function createHelpVerb(others: readonly Verb[]): Verb {
  const verb: Verb = {
    name: "help",
    summary: "Explain the program or one verb.",
    positionals: "[VERB]",
    maxPositionals: 1,
    options: {},
    notes: [],
    run(input) {
      const text = helpText([...others, verb], input.positionals[0]);
      print(input.json ? toJson({ help: text }) : text.trimEnd());
      return Promise.resolve(0);
    },
  };
  return verb;
}

function helpText(verbs: readonly Verb[], name: string | undefined): string {
  if (name === undefined) return programHelp(verbs);
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verbHelp(verb);
  throw new UsageError(`there is no verb ${JSON.stringify(name)}; see: rafted-value help`);
}
