/** `command NAME [JSON]` */
import { loadValue } from "../load-value.js";
import { definitionFor, groupOptions, targetOf, withClient } from "../open-group.js";
import { print, showValue, toJson } from "../output.js";
import { jsonText, optionalText, requiredPositional, type Verb } from "../usage.js";

export const commandVerb: Verb = {
  name: "command",
  summary: "Send a command and print its reply.",
  positionals: "NAME [JSON]",
  maxPositionals: 2,
  options: {
    ...groupOptions,
    value: { value: "FILE", help: "the value's module, or queue, counter, kv; for its own codec" },
    id: { value: "KEY", help: "idempotency key: a repeat under it is not applied again" },
  },
  notes: [`rafted-value command enqueue '"a"' --hosts 127.0.0.1:7101 --group queue`],
  async run(input) {
    const name = requiredPositional(commandVerb, input, "NAME of the command");
    const arg = input.positionals[1];
    const decoded = arg === undefined ? undefined : jsonText("the argument", arg);
    const id = optionalText(input, "id");
    const target = targetOf(commandVerb, input);
    const value = optionalText(input, "value");
    const definition =
      value === null ? await definitionFor(target, "command", name) : await loadValue(value);
    const options = { timeoutMs: target.timeoutMs, ...(id === null ? {} : { id }) };
    const reply = await withClient(target, definition, (client) =>
      client.command(name, decoded, options),
    );
    print(input.json ? toJson(reply) : showValue(reply));
    return 0;
  },
};
