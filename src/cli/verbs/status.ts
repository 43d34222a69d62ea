/** `status` */
import type { GroupStatus } from "../../client/types.js";
import { groupOptions, targetOf, withClient } from "../open-group.js";
import { print, toJson } from "../output.js";
import type { Verb } from "../usage.js";

export const statusVerb: Verb = {
  name: "status",
  summary: "Print what the first of the hosts that answers knows of itself and the group.",
  positionals: "",
  maxPositionals: 0,
  options: groupOptions,
  notes: ["rafted-value status --hosts 127.0.0.1:7101 --group queue"],
  async run(input) {
    const target = targetOf(statusVerb, input);
    const status = await withClient(target, null, (client) =>
      client.status({ timeoutMs: target.timeoutMs }),
    );
    if (input.json) print(toJson(status));
    else for (const line of statusLines(status)) print(line);
    return 0;
  },
};

/** Everything but the members, a line each. */
export function statusLines(status: GroupStatus): readonly string[] {
  const { members, config, ...rest } = status;
  const fields: [string, unknown][] = [
    ...Object.entries(rest),
    ["members", members.map(({ id, state }) => `${id} (${state})`).join(", ") || "none known"],
    ...Object.entries(config).map(([name, value]): [string, unknown] => [`config.${name}`, value]),
  ];
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value === null ? "-" : value}`);
}
