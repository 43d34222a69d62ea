/** `repl`: a prompt in a process that is no member. */
import type { AnyDefinedValue } from "../../value/types.js";
import { RaftError } from "../../errors.js";
import { loadValue } from "../load-value.js";
import { type AnyClient, groupOptions, type Target, targetOf, withClient } from "../open-group.js";
import { runPrompt } from "../prompt.js";
import { listenForShutdown } from "../shutdown.js";
import { optionalText, type Verb } from "../usage.js";
import { builtInValue } from "../values.js";

export const replVerb: Verb = {
  name: "repl",
  summary: "Open a prompt to a group: command(), query(), status() and more.",
  positionals: "",
  maxPositionals: 0,
  options: {
    ...groupOptions,
    value: { value: "FILE", help: "the value's module; needed unless it is queue, counter or kv" },
    history: { value: "FILE", help: "keep the typed lines in this file" },
  },
  notes: ["rafted-value repl --hosts 127.0.0.1:7101 --group queue"],
  async run(input) {
    const target = targetOf(replVerb, input);
    const value = optionalText(input, "value");
    const historyFile = optionalText(input, "history");
    const definition = value === null ? await builtInOf(target) : await loadValue(value);
    const good = await withClient(target, definition, (client) =>
      converse(client, definition, historyFile),
    );
    return good ? 0 : 1;
  },
};

/** Resolves to whether all went well; what a person mistypes at a terminal is no failure. */
async function converse(
  client: AnyClient,
  definition: AnyDefinedValue,
  historyFile: string | null,
): Promise<boolean> {
  const shutdown = listenForShutdown();
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  try {
    const good = await runPrompt({
      group: client,
      definition,
      input: process.stdin,
      output: process.stdout,
      terminal,
      prompt: `${definition.name}> `,
      historyFile,
      signal: shutdown.signal,
    });
    return good || terminal;
  } finally {
    shutdown.dispose();
  }
}

/** The value's own module is not at hand: only the built-in ones are known by name. */
async function builtInOf(target: Target): Promise<AnyDefinedValue> {
  const { valueName } = await withClient(target, null, (client) => client.status());
  const definition = builtInValue(valueName);
  if (definition !== null) return definition;
  throw new RaftError(
    "invalidValue",
    `the group's value ${JSON.stringify(valueName)} is not a built-in one; give its module by --value FILE`,
  );
}
