/** `members` */
import type { GroupStatus, MemberStatus } from "../../client/types.js";
import { groupOptions, type Target, targetOf, withClient } from "../open-group.js";
import { print, toJson } from "../output.js";
import type { Verb } from "../usage.js";

export const membersVerb: Verb = {
  name: "members",
  summary: "List the group's members, as the leader sees them if one can be asked.",
  positionals: "",
  maxPositionals: 0,
  options: groupOptions,
  notes: ["rafted-value members --hosts 127.0.0.1:7101 --group queue"],
  async run(input) {
    const target = targetOf(membersVerb, input);
    const status = await leadersView(target);
    if (input.json) print(toJson(status.members));
    else for (const line of memberLines(status)) print(line);
    return 0;
  },
};

/** How far the others are is known to the leader only; without one, any member's view is shown. */
async function leadersView(target: Target): Promise<GroupStatus> {
  const status = await statusOf(target);
  const leader = status.members.find(({ id }) => id === status.leader);
  if (leader === undefined || leader.id === status.id) return status;
  try {
    return await statusOf({ ...target, hosts: [leader.address] });
  } catch {
    return status;
  }
}

function statusOf(target: Target): Promise<GroupStatus> {
  return withClient(target, null, (client) => client.status({ timeoutMs: target.timeoutMs }));
}

/** A table: id, address, role, how far, how long silent. */
export function memberLines(status: GroupStatus): readonly string[] {
  const rows = status.members.map((member) => [
    member.id,
    member.address,
    member.id === status.leader ? "leader" : member.state,
    member.matchIndex === null ? "-" : String(member.matchIndex),
    contactOf(member),
  ]);
  const table = [["member", "address", "state", "match", "last contact"], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
}

function contactOf(member: MemberStatus): string {
  if (member.lastContactMs === null) return "-";
  const ago = `${Math.round(member.lastContactMs)} ms ago`;
  return member.unresponsive === true ? `${ago}, unresponsive` : ago;
}
