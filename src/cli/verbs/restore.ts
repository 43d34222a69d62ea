/** `restore FILE`: a backup becomes a new group. */
import { restore } from "../../index.js";
import { loadValue } from "../load-value.js";
import { print, toJson } from "../output.js";
import {
  checkAddress,
  localOptions,
  optionalText,
  requiredPositional,
  requiredText,
  type Verb,
} from "../usage.js";

export const restoreVerb: Verb = {
  name: "restore",
  summary: "Make a data directory with a new group of one member that begins with a backup.",
  positionals: "FILE",
  maxPositionals: 1,
  options: {
    id: { value: "ID", help: "the host that will serve it" },
    data: { value: "DIR", help: "its data directory: new or empty" },
    group: { value: "NAME", help: "the new group's name, if not the old one's" },
    advertise: { value: "ADDR", help: "where others will reach the host" },
    value: {
      value: "FILE",
      help: "refuse a backup of another value: queue, counter, kv, a module",
    },
    ...localOptions,
  },
  notes: [
    "The group has a new id: members and clients of the old one are refused by it.",
    "rafted-value restore queue.backup --id foo --data /var/lib/foo",
    "rafted-value start --id foo --listen 127.0.0.1:7101 --group queue --value queue --data /var/lib/foo",
  ],
  async run(input) {
    const file = requiredPositional(restoreVerb, input, "FILE");
    const id = requiredText(restoreVerb, input, "id");
    const dir = requiredText(restoreVerb, input, "data");
    const group = optionalText(input, "group");
    const advertise = optionalText(input, "advertise");
    const value = optionalText(input, "value");
    if (advertise !== null) checkAddress("--advertise", advertise, 1);
    const restored = await restore({
      ...{ file, id, dir },
      ...(group === null ? {} : { group }),
      ...(advertise === null ? {} : { advertise }),
      ...(value === null ? {} : { definition: await loadValue(value) }),
    });
    const { identity, index, sizeBytes } = restored;
    const start = `rafted-value start --id ${id} --group ${identity.group} --data ${dir} ...`;
    if (input.json) print(toJson({ dir, ...restored }));
    else {
      const what = `group ${identity.group} (id ${identity.groupId})`;
      print(`${dir}: ${what} at index ${index}, ${sizeBytes} bytes; serve it with: ${start}`);
    }
    return 0;
  },
};
