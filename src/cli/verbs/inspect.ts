/** `inspect DIR`: what is in a data directory. */
import type { Membership } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import {
  type InspectedGroup,
  type Inspection,
  inspectDirectory,
} from "../../storage/file/index.js";
import { print, toJson } from "../output.js";
import { localOptions, optionalText, requiredPositional, type Verb } from "../usage.js";

export const inspectVerb: Verb = {
  name: "inspect",
  summary: "Print what a data directory holds. Never writes; also while a host has it open.",
  positionals: "DIR",
  maxPositionals: 1,
  options: {
    group: { value: "NAME", help: "only this group" },
    ...localOptions,
  },
  notes: [
    "Of every group: member id, term, indices (lastIndex is the last entry of the log), snapshot, members.",
    "Health: good; torn (the last write was cut short, nothing promised is lost); damaged (see: doctor).",
    "The exit code is 0 whatever the health is.",
    "rafted-value inspect /var/lib/foo",
  ],
  async run(input) {
    const dir = requiredPositional(inspectVerb, input, "DIR");
    const name = optionalText(input, "group");
    const inspection = await inspectDirectory(dir);
    const chosen = name === null ? inspection : onlyGroup(inspection, name);
    if (input.json) print(toJson(chosen));
    else for (const line of inspectionLines(chosen)) print(line);
    return 0;
  },
};

function onlyGroup(inspection: Inspection, name: string): Inspection {
  const groups = inspection.groups.filter(({ group }) => group === name);
  if (groups.length > 0) return { ...inspection, groups };
  const there = inspection.groups.map(({ group }) => group).join(", ") || "none";
  const why = `${inspection.dir} holds no group "${name}" (it holds: ${there})`;
  throw new RaftError("storageMismatch", why);
}

type Row = readonly [name: string, value: string];

export function inspectionLines(inspection: Inspection): readonly string[] {
  const { dir, hostId, format, heldBy, health, closedInOrder, groups } = inspection;
  const { segments, leftovers, findings } = inspection;
  const used = segments.filter((segment) => segment.used).length;
  const logBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const closed = closedInOrder ? "in order" : heldBy === null ? "no, it ended suddenly" : "no";
  const rows: readonly Row[] = [
    ["directory", dir],
    ["host", hostId ?? "not known"],
    ["format", String(format ?? "not known")],
    ["in use", heldBy === null ? "no" : `by ${heldBy}: what is being written may look torn`],
    ["health", health],
    ["closed", closed],
    ["segments", `${used} used, ${segments.length - used} prepared, ${logBytes} bytes`],
    ...leftovers.map((file): Row => ["leftover", file]),
    ...findings.map(({ type, message }): Row => [type, message]),
  ];
  return [...table(rows), ...groups.flatMap((group) => ["", ...groupLines(group)])];
}

function groupLines(group: InspectedGroup): readonly string[] {
  const { snapshot, firstIndex, lastIndex } = group;
  const forced = group.forcedRemovals.join(", ");
  return table([
    ["group", `${group.group} (id ${group.groupId}, value ${group.valueName})`],
    ["member", `${group.memberId} at ${group.address}`],
    ["term", `${group.currentTerm}, voted for ${group.votedFor ?? "nobody"}`],
    ["log", lastIndex < firstIndex ? "no entries" : `entries ${firstIndex} to ${lastIndex}`],
    ["last", `index ${lastIndex}, term ${group.lastTerm}`],
    [
      "snapshot",
      snapshot === null
        ? "none"
        : `index ${snapshot.index}, term ${snapshot.term}, ${snapshot.sizeBytes} bytes, ` +
          `value version ${snapshot.valueVersion}, ${snapshot.file}`,
    ],
    ["members", group.membership === null ? "not known" : membersText(group.membership)],
    ...(forced === "" ? [] : [["forced out", forced] as const]),
    ...(group.damage === null
      ? []
      : [["damaged", `group "${group.group}": ${group.damage}`] as const]),
  ]);
}

function membersText({ voters, outgoing, learners, members }: Membership): string {
  const known = members.map(({ id, address }) => {
    const roles = [
      ...(voters.includes(id) ? ["voter"] : []),
      ...(outgoing.includes(id) && !voters.includes(id) ? ["outgoing"] : []),
      ...(learners.some((learner) => learner.id === id) ? ["learner"] : []),
    ];
    return `${id} (${[...roles, address].join(", ")})`;
  });
  return known.join(", ") || "none";
}

function table(rows: readonly Row[]): readonly string[] {
  const width = 10;
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}
