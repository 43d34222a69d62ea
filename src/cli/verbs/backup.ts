/** `backup`: the value of a running group into one file. */
import { backup } from "../../index.js";
import { groupOptions } from "../open-group.js";
import { print, toJson } from "../output.js";
import { tlsOf } from "../tls.js";
import { addressList, requiredText, type Verb } from "../usage.js";

export const backupVerb: Verb = {
  name: "backup",
  summary: "Write a consistent snapshot of a running group's value into one file.",
  positionals: "",
  maxPositionals: 0,
  options: {
    ...groupOptions,
    hosts: { value: "ADDR,...", help: "where members listen; one that answers is read" },
    out: { value: "FILE", help: "the file to write; must not exist" },
    "timeout-ms": { value: "N", help: "give a step up after N milliseconds (60000)" },
  },
  notes: [
    "Holds everything that was acknowledged before it began. The file is there only once it is whole.",
    "rafted-value backup --hosts 127.0.0.1:7101,127.0.0.1:7102 --group queue --out queue.backup",
  ],
  async run(input) {
    const tls = tlsOf(input);
    const taken = await backup({
      hosts: addressList("--hosts", requiredText(backupVerb, input, "hosts")),
      group: requiredText(backupVerb, input, "group"),
      file: requiredText(backupVerb, input, "out"),
      ...(tls === null ? {} : { tls }),
      ...(input.timeoutMs === null ? {} : { timeoutMs: input.timeoutMs }),
    });
    const { file, valueName, valueVersion, index, sizeBytes, memberId } = taken;
    const line =
      `${file}: value ${valueName} version ${valueVersion} at index ${index}, ` +
      `${sizeBytes} bytes, from ${memberId}`;
    print(input.json ? toJson(taken) : line);
    return 0;
  },
};
