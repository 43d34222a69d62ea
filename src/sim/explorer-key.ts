/**
 * What tells two states apart, as text, under a renaming of the members. Left out is what changes
 * nothing that can still happen: how many tickets there were, bytes, clocks. Lists whose order means
 * nothing are sorted, so that a renamed state reads like one that came about under those names.
 */
import { allEntries } from "../core/log.js";
import type { Core, Peer } from "../core/state.js";
import type { Entry, MemberId, Membership, Message } from "../core/types.js";
import type { Letter, Node, NodeDisk } from "./explorer-node.js";

/** Gives each member its name under a renaming. */
export type Rename = (id: MemberId) => MemberId;

function keyOfIds(ids: readonly MemberId[], rename: Rename): string {
  return ids.map(rename).sort().join("");
}

function keyOfMembership(membership: Membership, rename: Rename): string {
  const { voters, outgoing, learners } = membership;
  const learning = learners.map(({ id, promote, replaces }) => {
    return `${rename(id)}${promote ? "+" : ""}${replaces === null ? "" : rename(replaces)}`;
  });
  const named = `${keyOfIds(voters, rename)}/${keyOfIds(outgoing, rename)}`;
  return `${named}/${learning.sort().join("")}`;
}

export function keyOfEntry(entry: Entry, rename: Rename): string {
  const { kind, term, body, payload } = entry;
  if (kind === "membership") return `${term}m${keyOfMembership(payload as Membership, rename)}`;
  return `${term}${kind[0]}${body.length > 0 ? body[0] : ""}`;
}

function keyOfEntries(entries: readonly Entry[], rename: Rename): string {
  let key = "";
  for (const entry of entries) key += `${keyOfEntry(entry, rename)},`;
  return key;
}

function nameOf(id: MemberId | null, rename: Rename): string {
  return id === null ? "-" : rename(id);
}

/**
 * What a leader has on its way to a peer counts while it probes; otherwise only against windows, which
 * are never full here. Whether it has told commitIndex decides about one more beat at most, and a beat
 * may be sent at any time anyhow.
 */
function keyOfPeer(peer: Peer, rename: Rename): string {
  const { mode, nextIndex, matchIndex, probeSent, ackedRound, lastContactMs, departsAt } = peer;
  const { sending } = peer;
  const flags = [
    probeSent,
    lastContactMs === 0,
    peer.caughtUp,
    peer.heard,
    departsAt !== null && peer.commitSent >= departsAt,
  ];
  const sends =
    sending === null
      ? ""
      : `${sending.meta.index}.${sending.offset}${sending.busy}${sending.fresh}`;
  return (
    `${rename(peer.id)}${mode[0]}${nextIndex}.${matchIndex}.${ackedRound}` +
    `${flags.map(Number).join("")}[${mode === "probe" ? (peer.inFlight.at(-1)?.to ?? 0) : ""}]` +
    `${sends}.${peer.catchUpTarget}.${departsAt ?? ""}`
  );
}

function keyOfRole(core: Core, rename: Rename): string {
  const { role, disk } = core;
  switch (role.type) {
    case "leader": {
      const peers = role.peers.map((peer) => keyOfPeer(peer, rename));
      const rounds = role.rounds.map(({ round, readIndex, requests, remote }) => {
        return `${round}.${readIndex}.${requests.join()}.${keyOfRemote(remote, rename)}`;
      });
      const { transfer } = role;
      const moving = transfer === null ? "" : `${rename(transfer.target)}${Number(transfer.sent)}`;
      const pending = `${role.pendingReads.join()}/${keyOfRemote(role.pendingRemoteReads, rename)}`;
      const requests = `${role.membershipRequest ?? ""}`;
      return (
        `L${peers.sort().join(";")}|${role.termStartIndex}.${role.round}|${rounds.join(";")}|` +
        `${pending}|${moving}|${requests}`
      );
    }
    case "candidate": {
      const waits = Math.max(0, role.selfVoteTicket - disk.storedTicket);
      return `C${keyOfIds(role.grants, rename)}${waits}`;
    }
    case "preCandidate":
      return `P${keyOfIds(role.grants, rename)}`;
    case "removed":
      return "R";
    case "follower":
    case "learner": {
      const { refusal, snapshotReplyWanted: wanted } = role;
      const flags = `${Number(role.replyWanted)}${Number(role.echoWanted)}`;
      const refused = refusal === null ? "" : `${refusal.prevLogIndex}.${refusal.hintIndex}`;
      return (
        `F${role.type[0]}${nameOf(role.leader, rename)}${role.matchedIndex}.${role.ackedIndex}.` +
        `${role.round}.${flags}${refused}${wanted === null ? "" : `s${wanted.index}`}`
      );
    }
    default:
      return role satisfies never;
  }
}

function keyOfRemote(reads: readonly { from: MemberId; batch: number }[], rename: Rename): string {
  return reads.map(({ from, batch }) => `${rename(from)}${batch}`).join("");
}

function keyOfCore(core: Core, rename: Rename): string {
  const { log, disk, reads, incoming } = core;
  const ticket = (one: number): number => Math.max(0, one - disk.storedTicket);
  const votes = disk.heldVotes.map(({ to, term }) => `${rename(to)}${term}`);
  const tickets = disk.inFlight.map((one) => `${ticket(one.ticket)}:${one.upTo}`);
  const asked = reads.asked.map(({ batch, requests }) => `${batch}.${requests.join()}`);
  const waiting = reads.waiting.map(({ readIndex, requests }) => `${readIndex}.${requests.join()}`);
  return [
    `${core.currentTerm}${nameOf(core.votedFor, rename)}`,
    `${log.offset}.${log.offsetTerm}:${keyOfEntries(allEntries(log), rename)}`,
    `${core.commitIndex}.${core.lastApplied}`,
    keyOfRole(core, rename),
    `${ticket(disk.hardStateTicket)}${tickets.join()}.${disk.durableIndex}.${disk.handedIndex}`,
    votes.join(),
    `${core.membershipIndex}${Number(core.wasMember)}${core.memberships.map((one) => one.index).join()}`,
    `${Number(core.promisedUntilMs > 0)}${core.snapshot?.index ?? 0}`,
    incoming === null ? "" : `${incoming.meta.index}.${incoming.heldBytes}${incoming.installing}`,
    `${reads.nextBatch}${asked.join(";")}/${waiting.join(";")}`,
    core.transferOutcome === null ? "" : rename(core.transferOutcome.target),
  ].join("|");
}

function keyOfDisk(disk: NodeDisk, rename: Rename): string {
  const { hardState, snapshot, entries } = disk;
  const vote = `${hardState?.currentTerm ?? 0}${nameOf(hardState?.votedFor ?? null, rename)}`;
  const first = entries[0]?.index ?? 0;
  return `${vote}${snapshot?.index ?? 0}.${first}:${keyOfEntries(entries, rename)}`;
}

export function keyOfNode(node: Node, rename: Rename): string {
  let pending = "";
  for (const one of node.pending) {
    if (one.type === "compactLog") pending += `c${one.firstIndex}`;
    else {
      const { hardState, truncateFrom, entries } = one;
      const vote =
        hardState === null ? "" : `${hardState.currentTerm}${nameOf(hardState.votedFor, rename)}`;
      pending += `s${vote}.${truncateFrom}.${keyOfEntries(entries, rename)}`;
    }
  }
  return `${rename(node.id)}#${keyOfCore(node.core, rename)}#${keyOfDisk(node.disk, rename)}#${pending}`;
}

export function keyOfLetter({ from, to, message }: Letter, rename: Rename): string {
  return `${rename(from)}${rename(to)}${keyOfMessage(message, rename)}`;
}

function keyOfMessage(message: Message, rename: Rename): string {
  let key: string = message.type;
  for (const [name, value] of Object.entries(message)) {
    if (name === "type" || name === "sentAtMs" || name === "promiseMs") continue;
    if (name === "entries") key += `[${keyOfEntries(value as readonly Entry[], rename)}]`;
    else if (name === "snapshot") {
      const { index, term } = value as { index: number; term: number };
      key += `s${index}.${term}`;
    } else if (value instanceof Uint8Array) key += `d${value.length}`;
    else key += `.${String(value)}`;
  }
  return key;
}
