/** Messages, entries and effects as the one-line forms that scenario files hold. */
import type {
  CoreEffect,
  Entry,
  GroupConfig,
  Membership,
  MemberId,
  Message,
} from "../core/types.js";

const decoder = new TextDecoder();

/** `5@2=x`, `6@3 noop`, `7@3 membership`: index, term and what it carries. */
export function showEntry(entry: Entry): string {
  const at = `${entry.index}@${entry.term}`;
  if (entry.kind !== "command") return `${at}:${entry.kind}`;
  const text = decoder.decode(entry.body);
  return `${at}=${text.length > 20 ? `${text[0]}*${text.length}` : text}`;
}

function showEntries(entries: readonly Entry[]): string {
  return entries.length === 0 ? "none" : entries.map(showEntry).join(",");
}

export function showMembership(membership: Membership): string {
  const learners = membership.learners.map((learner) => {
    const replaces = learner.replaces === null ? "" : `(for ${learner.replaces})`;
    return `${learner.id}${replaces}${learner.promote ? "" : "(stays)"}`;
  });
  // Elsewhere than where scenarios and explorer have everybody at first.
  const moved = membership.members
    .filter(({ id, address }) => address !== `${id}:1` && address !== id)
    .map(({ address }) => address);
  return [
    `voters=${membership.voters.join(",")}`,
    ...(membership.outgoing.length === 0 ? [] : [`outgoing=${membership.outgoing.join(",")}`]),
    ...(learners.length === 0 ? [] : [`learners=${learners.join(",")}`]),
    ...(moved.length === 0 ? [] : [`moved=${moved.join(",")}`]),
  ].join(" ");
}

export function showConfig(config: GroupConfig): string {
  return `heartbeatMs=${config.heartbeatMs} electionTimeoutMs=${config.electionTimeoutMs}`;
}

/** Rounds and clocks are left out: they would make every file change with every heartbeat. */
export function showMessage(message: Message): string {
  switch (message.type) {
    case "preVote":
    case "requestVote": {
      const transfer = message.type === "requestVote" && message.transfer ? " transfer" : "";
      return `${message.type} term=${message.term} last=${message.lastLogIndex}@${message.lastLogTerm}${transfer}`;
    }
    case "preVoteReply": {
      const removed = message.removed ? " removed" : "";
      return `preVoteReply term=${message.term} for=${message.requestTerm} ${yesNo(message.granted)}${removed}`;
    }
    case "requestVoteReply":
      return `requestVoteReply term=${message.term} ${yesNo(message.granted)}`;
    case "appendEntries":
      return (
        `appendEntries term=${message.term} prev=${message.prevLogIndex}@${message.prevLogTerm} ` +
        `entries=${showEntries(message.entries)} commit=${message.commitIndex}`
      );
    case "appendEntriesReply":
      return message.success
        ? `appendEntriesReply term=${message.term} yes match=${message.matchIndex}`
        : `appendEntriesReply term=${message.term} no refused=${message.matchIndex} ` +
            `hint=${message.hintIndex}@${message.hintTerm}`;
    case "installSnapshot":
      return (
        `installSnapshot term=${message.term} snapshot=${message.snapshot.index}@${message.snapshot.term} ` +
        `offset=${message.offset} bytes=${message.data.length} of=${message.snapshot.sizeBytes}`
      );
    case "installSnapshotReply":
      return (
        `installSnapshotReply term=${message.term} snapshot=${message.snapshotIndex}@${message.snapshotTerm} ` +
        (message.installed ? "installed" : `offset=${message.offset}`)
      );
    case "timeoutNow":
      return `timeoutNow term=${message.term}`;
    case "readIndex":
      return `readIndex term=${message.term} batch=${message.batch}`;
    case "readIndexReply":
      return `readIndexReply term=${message.term} batch=${message.batch} index=${message.readIndex}`;
    case "compareHashes":
      return `compareHashes term=${message.term} indices=${message.indices.join(",")}`;
    default:
      return message satisfies never;
  }
}

function yesNo(granted: boolean): string {
  return granted ? "yes" : "no";
}

/** How an effect reads. */
export function showEffect(
  self: MemberId,
  effect: CoreEffect,
  nameOf: (request: number) => string,
): string {
  switch (effect.type) {
    case "send":
      return `${self}->${effect.to} ${showMessage(effect.message)}`;
    case "store": {
      const vote =
        effect.hardState === null
          ? ""
          : ` term=${effect.hardState.currentTerm} vote=${effect.hardState.votedFor ?? "-"}`;
      const forced = effect.hardState?.forcedRemovals ?? [];
      const removed = forced.length === 0 ? "" : ` forced=${forced.join(",")}`;
      const cut = effect.truncateFrom === 0 ? "" : ` truncate>=${effect.truncateFrom}`;
      return `${self} stores #${effect.ticket}${vote}${removed}${cut} entries=${showEntries(effect.entries)}`;
    }
    case "apply":
      return `${self} applies ${showEntries(effect.entries)}`;
    case "answerReads": {
      const by = effect.leaseUntilMs === null ? "" : " by lease";
      return `${self} answers ${effect.requests.map(nameOf).join(",")} at ${effect.readIndex}${by}`;
    }
    case "refused":
      return `${self} refuses ${nameOf(effect.request)}: ${effect.code}, applied ${effect.applied}`;
    case "accepted":
      return `${self} accepts ${nameOf(effect.request)} at ${effect.index}`;
    case "roleChanged":
      return `${self} is ${effect.role} term=${effect.term} leader=${effect.leader ?? "-"}`;
    case "membershipChanged": {
      const state = effect.committed ? "committed" : "in force";
      return `${self} membership ${showMembership(effect.membership)} at ${effect.index} ${state}`;
    }
    case "configChanged":
      return `${self} config ${showConfig(effect.config)} at ${effect.index}`;
    case "removed":
      return `${self} is removed`;
    case "takeSnapshot":
      return `${self} takes snapshot ${effect.index}@${effect.term} ${showMembership(effect.membership)}`;
    case "readSnapshotChunk":
      return `${self} reads chunk for ${effect.to} snapshot=${effect.index} offset=${effect.offset}`;
    case "writeSnapshotChunk": {
      const { index, term } = effect.snapshot;
      const last = effect.last ? " last" : "";
      return `${self} writes chunk of ${index}@${term} offset=${effect.offset} bytes=${effect.data.length}${last}`;
    }
    case "installSnapshot":
      return `${self} installs snapshot ${effect.snapshot.index}@${effect.snapshot.term}`;
    case "compactLog":
      return `${self} compacts before ${effect.firstIndex}`;
    case "setTimer":
      return `${self} sets ${effect.timer} timer ${effect.minMs}-${effect.maxMs} ms`;
    case "cancelTimer":
      return `${self} cancels ${effect.timer} timer`;
    default:
      return effect satisfies never;
  }
}
