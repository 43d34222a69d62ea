/** `force-remove ID` */
import { groupOptions, ownTargetOf, withClient } from "../open-group.js";
import { print, toJson } from "../output.js";
import { requiredPositional, type Verb } from "../usage.js";

export const forceRemoveVerb: Verb = {
  name: "force-remove",
  summary: "UNSAFE: make one member forget another, to revive a group that lost its majority.",
  positionals: "ID",
  maxPositionals: 1,
  options: groupOptions,
  notes: [
    "Acts on the member at the first of --hosts alone, without asking anybody else. Use it only when",
    "the removed member never comes back: two halves of a group could go on apart, and answered",
    "commands be lost. Repeat it for every dead member on one survivor until it leads again.",
    "rafted-value force-remove baz --hosts 127.0.0.1:7101 --group queue",
  ],
  async run(input) {
    const id = requiredPositional(forceRemoveVerb, input, "ID of the lost member");
    const target = ownTargetOf(forceRemoveVerb, input);
    await withClient(target, null, (client) =>
      client.admin("forceRemove", { id }, { timeoutMs: target.timeoutMs }),
    );
    print(input.json ? toJson({ forceRemoved: id }) : `force-removed ${id}`);
    return 0;
  },
};
