/** `query NAME [JSON]` */
import { loadValue } from "../load-value.js";
import { definitionFor, groupOptions, targetOf, withClient } from "../open-group.js";
import { print, showValue, toJson } from "../output.js";
import { jsonText, optionalText, requiredPositional, type Verb } from "../usage.js";

export const queryVerb: Verb = {
  name: "query",
  summary: "Ask a query and print its answer: linearizable, or one member's own copy.",
  positionals: "NAME [JSON]",
  maxPositionals: 2,
  options: {
    ...groupOptions,
    value: { value: "FILE", help: "the value's module, or queue, counter, kv; for its own codec" },
    stale: { value: null, help: "answer from the first host's own copy, which may lag behind" },
  },
  notes: ["rafted-value query length --hosts 127.0.0.1:7101 --group queue"],
  async run(input) {
    const name = requiredPositional(queryVerb, input, "NAME of the query");
    const arg = input.positionals[1];
    const decoded = arg === undefined ? undefined : jsonText("the argument", arg);
    const target = targetOf(queryVerb, input);
    const value = optionalText(input, "value");
    const definition =
      value === null ? await definitionFor(target, "query", name) : await loadValue(value);
    const options = { timeoutMs: target.timeoutMs };
    const answer = await withClient(target, definition, (client) =>
      input.options["stale"] === true
        ? client.queryStale(name, decoded, options)
        : client.query(name, decoded, options),
    );
    print(input.json ? toJson(answer) : showValue(answer));
    return 0;
  },
};
