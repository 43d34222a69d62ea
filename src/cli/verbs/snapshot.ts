/** `snapshot` */
import { groupOptions, targetOf, withClient } from "../open-group.js";
import { print, toJson } from "../output.js";
import type { Verb } from "../usage.js";

export const snapshotVerb: Verb = {
  name: "snapshot",
  summary: "Make the member at the first of the hosts take a snapshot now.",
  positionals: "",
  maxPositionals: 0,
  options: groupOptions,
  notes: ["rafted-value snapshot --hosts 127.0.0.1:7101 --group queue"],
  async run(input) {
    const target = targetOf(snapshotVerb, input);
    const taken = await withClient(target, null, (client) =>
      client.snapshot({ timeoutMs: target.timeoutMs }),
    );
    if (input.json) print(toJson(taken));
    else print(`snapshot at index ${taken.index}, ${taken.sizeBytes} bytes`);
    return 0;
  },
};
