/** `snapshot` */
import { groupOptions, ownTargetOf, withClient } from "../open-group.js";
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
    const target = ownTargetOf(snapshotVerb, input);
    const options = { host: target.hosts[0]!, timeoutMs: target.timeoutMs };
    const taken = (await withClient(target, null, (client) =>
      client.admin("snapshot", null, options),
    )) as { readonly index: number; readonly sizeBytes: number };
    if (input.json) print(toJson(taken));
    else print(`snapshot at index ${taken.index}, ${taken.sizeBytes} bytes`);
    return 0;
  },
};
