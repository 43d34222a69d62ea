/** `transfer ID` */
import { groupOptions, targetOf, withClient } from "../open-group.js";
import { print, toJson } from "../output.js";
import { requiredPositional, seeHelp, UsageError, type Verb } from "../usage.js";

export const transferVerb: Verb = {
  name: "transfer",
  summary: "Make another member the leader; `--cancel` takes a pending transfer back.",
  positionals: "ID",
  maxPositionals: 1,
  options: {
    ...groupOptions,
    cancel: { value: null, help: "take a pending transfer back; without ID" },
  },
  notes: ["rafted-value transfer bar --hosts 127.0.0.1:7101 --group queue"],
  async run(input) {
    const cancel = input.options["cancel"] === true;
    if (cancel && input.positionals.length > 0) {
      throw new UsageError(`either ID or --cancel, not both${seeHelp(transferVerb)}`);
    }
    const id = cancel ? null : requiredPositional(transferVerb, input, "ID of the new leader");
    const target = targetOf(transferVerb, input);
    const { timeoutMs } = target;
    if (id === null) {
      const pending = await withClient(target, null, (client) =>
        client.admin("transfer", { id }, { timeoutMs }),
      );
      // A member of an earlier version answers null to both.
      const cancelled = pending !== false;
      if (input.json) print(toJson({ leader: id, cancelled }));
      else print(cancelled ? "transfer cancelled" : "no transfer was pending");
      return 0;
    }
    await withClient(target, null, (client) => client.transferLeadership(id, { timeoutMs }));
    print(input.json ? toJson({ leader: id }) : `leadership transferred to ${id}`);
    return 0;
  },
};
