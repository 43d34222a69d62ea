/** What a client is told of a group that this host does not serve: not yet, no more, or not at all. */
import { RaftError } from "../errors.js";
import type { HostContext } from "./context.js";

export function absence(context: HostContext, group: string): RaftError {
  const { id, groups, recovered, opening, endings } = context;
  // A host that has just begun: its program has not opened the group yet, or a snapshot is being read.
  if (recovered.has(group) || opening.has(group)) {
    return new RaftError("unavailable", `host ${id} does not serve group "${group}" yet`);
  }
  // Most often the host is closing. To say that it never knew the group would be taken for a verdict, by its handle too.
  if ([...endings.values()].includes(group)) {
    return new RaftError("closed", `the member of group "${group}" on host ${id} has ended`);
  }
  const known = [...groups.keys()].map((name) => `"${name}"`).join(", ") || "none";
  const why = `host ${id} serves no group "${group}"; it serves: ${known}`;
  return new RaftError("unknownGroup", why);
}
