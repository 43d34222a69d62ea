/** `remove ID` */
import { groupOptions, targetOf, withClient } from "../open-group.js";
import { print, toJson } from "../output.js";
import { requiredPositional, type Verb } from "../usage.js";

export const removeVerb: Verb = {
  name: "remove",
  summary: "Take a member out of the group, by its host id or whole member id.",
  positionals: "ID",
  maxPositionals: 1,
  options: groupOptions,
  notes: ["rafted-value remove baz --hosts 127.0.0.1:7101 --group queue"],
  async run(input) {
    const id = requiredPositional(removeVerb, input, "ID of the member");
    const target = targetOf(removeVerb, input);
    await withClient(target, null, (client) =>
      client.removeMember(id, { timeoutMs: target.timeoutMs }),
    );
    print(input.json ? toJson({ removed: id }) : `removed ${id}`);
    return 0;
  },
};
