/** The administrative verbs of codec/types.ts, but for subscriptions, which are the host's. */
import { validateGroupConfig } from "../core/config.js";
import { specialEntries } from "../core/log.js";
import { emptyBytes } from "../codec/bytes.js";
import type { JoinRequest } from "../codec/types.js";
import type { GroupConfig, GroupConfigChange, MemberId, MembershipChange } from "../core/types.js";
import { RaftError } from "../errors.js";
import { findMismatch } from "./compatible.js";
import { checkName } from "./names.js";
import { barrierRequested } from "./reads.js";
import { refuseIfFull, replyError } from "./replies.js";
import { snapshotPieceRequested } from "./snapshot-pieces.js";
import {
  addressOf,
  memberAddresses,
  type MemberState,
  post,
  proposalTimeMs,
  wait,
} from "./state.js";
import { groupStatus } from "./status.js";
import type { ReplySink } from "./types.js";

export function adminRequested(
  state: MemberState,
  sink: ReplySink,
  request: number,
  verb: string,
  bytes: Uint8Array,
): void {
  if (refuseIfFull(state, sink, request, bytes.length)) return;
  try {
    perform(state, sink, request, verb, bytes);
  } catch (error) {
    // A body that is not what the verb takes; defects of our own go up and stop the member.
    if (!(error instanceof RaftError)) throw error;
    replyError(sink, request, error.code, "no", error.message);
  }
}

function perform(
  state: MemberState,
  sink: ReplySink,
  request: number,
  verb: string,
  bytes: Uint8Array,
): void {
  const body = decodeAdmin(state, verb, bytes);
  switch (verb) {
    case "status":
      return sink.reply(request, "ok", "no", 0, state.services.codec.encode(groupStatus(state)));
    case "join":
      return joinRequested(state, sink, request, checkJoin(body));
    case "move": {
      const id = textField(body, verb, "memberId");
      const member = { id, address: textField(body, verb, "address") };
      // It is there at once: a learner, which never dials by itself, is told of the entry there.
      const isOther = id !== state.self.id && addressOf(state, id) !== null;
      if (isOther) state.services.announce(id, member.address);
      return changeMembership(state, sink, request, { type: "move", member }, () =>
        encode(state, null),
      );
    }
    case "remove": {
      const id = resolveMember(state, textField(body, verb, "id"));
      return changeMembership(state, sink, request, { type: "remove", id }, () =>
        encode(state, null),
      );
    }
    case "transfer": {
      const id = optionalTextField(body, verb, "id");
      return transferRequested(state, sink, request, id === null ? null : resolveMember(state, id));
    }
    case "changeConfig":
      return configChangeRequested(state, sink, request, body);
    case "forceRemove":
      return removalForced(state, sink, request, textField(body, verb, "id"));
    case "barrier":
      return barrierRequested(state, sink, request);
    case "snapshot":
      return snapshotRequested(state, sink, request);
    case "readSnapshot":
      return snapshotPieceRequested(state, sink, request, {
        index: wholeField(body, verb, "index", 1),
        offset: wholeField(body, verb, "offset", 0),
        maxBytes: wholeField(body, verb, "maxBytes", 1),
      });
    default:
      throw new RaftError("invalidArgument", `no administrative request is named "${verb}"`);
  }
}

function encode(state: MemberState, value: unknown): Uint8Array {
  return state.services.codec.encode(value);
}

function decodeAdmin(state: MemberState, verb: string, bytes: Uint8Array): unknown {
  try {
    return bytes.length === 0 ? null : state.services.codec.decode(bytes);
  } catch (cause) {
    throw new RaftError("invalidArgument", `${verb}: the request's body does not decode`, {
      cause,
    });
  }
}

function fieldOf(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null
    ? (body as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function textField(body: unknown, verb: string, name: string): string {
  const field = fieldOf(body, name);
  if (typeof field === "string" && field.length > 0) {
    checkName(`${verb}: ${name}`, field, "invalidArgument");
    return field;
  }
  throw new RaftError("invalidArgument", `${verb}: ${name} must be a string that is not empty`);
}

function optionalTextField(body: unknown, verb: string, name: string): string | null {
  return fieldOf(body, name) === null ? null : textField(body, verb, name);
}

function wholeField(body: unknown, verb: string, name: string, least: number): number {
  const field = fieldOf(body, name);
  if (typeof field === "number" && Number.isSafeInteger(field) && field >= least) return field;
  throw new RaftError(
    "invalidArgument",
    `${verb}: ${name} must be a whole number from ${least} on`,
  );
}

function checkJoin(body: unknown): JoinRequest {
  const version = fieldOf(body, "valueVersion");
  const compatible = fieldOf(body, "compatibleVersions");
  const memberId = textField(body, "join", "memberId");
  if (!/^[^#]+#[^#]+$/.test(memberId)) {
    throw new RaftError(
      "invalidArgument",
      `join: memberId "${memberId}" is not host id # incarnation`,
    );
  }
  if (typeof version !== "number" || !Array.isArray(compatible)) {
    throw new RaftError(
      "invalidArgument",
      "join: valueVersion must be a number, compatibleVersions a list",
    );
  }
  return {
    memberId,
    address: textField(body, "join", "address"),
    valueName: textField(body, "join", "valueName"),
    valueVersion: version,
    compatibleVersions: compatible.filter((each): each is number => typeof each === "number"),
  };
}

/**
 * The member that a caller means: a whole member id, or a host id. Of several incarnations of one
 * host the newest, which is the last in joining order.
 */
function resolveMember(state: MemberState, id: string): MemberId {
  const { members } = state.replica.core.membership;
  const exact = members.find((member) => member.id === id);
  if (exact !== undefined) return exact.id;
  const ofHost = members.filter((member) => member.id.startsWith(`${id}#`));
  const newest = ofHost[ofHost.length - 1];
  if (newest !== undefined) return newest.id;
  throw new RaftError(
    "notMember",
    `group "${state.group}" has no member "${id}"; it has: ` +
      `${members.map((member) => member.id).join(", ") || "none"}`,
  );
}

function joinRequested(
  state: MemberState,
  sink: ReplySink,
  request: number,
  join: JoinRequest,
): void {
  const { definition } = state;
  const mismatch = findMismatch(
    definition,
    join,
    `group "${state.group}"`,
    `newcomer ${join.memberId}`,
  );
  if (mismatch !== null) throw new RaftError("groupMismatch", `join: ${mismatch}`);
  const render = (): Uint8Array =>
    encode(state, { groupId: state.groupId, hosts: memberAddresses(state) });
  const committed = state.committed?.members.some((member) => member.id === join.memberId) === true;
  if (state.role === "leader" && committed) {
    // An earlier try of the same newcomer, whose answer it did not get.
    return sink.reply(request, "ok", "maybe", 0, render());
  }
  const member = { id: join.memberId, address: join.address };
  changeMembership(state, sink, request, { type: "add", member, promote: true }, render);
}

function changeMembership(
  state: MemberState,
  sink: ReplySink,
  callerRequest: number,
  change: MembershipChange,
  render: (index: number) => Uint8Array,
): void {
  const request = wait(state, sink, callerRequest, "admin", 0, 0, null, render);
  const timeMs = proposalTimeMs(state);
  const nowMs = state.services.clock.nowMs();
  post(state, { type: "membershipChangeRequested", request, change, timeMs, nowMs }, 0);
}

function transferRequested(
  state: MemberState,
  sink: ReplySink,
  callerRequest: number,
  target: MemberId | null,
): void {
  const render = (index: number): Uint8Array => encode(state, target === null ? index > 0 : null);
  const request = wait(state, sink, callerRequest, "admin", 0, 0, null, render);
  const nowMs = state.services.clock.nowMs();
  post(state, { type: "transferRequested", request, target, nowMs }, 0);
}

/** A change builds on one that is not applied yet, be it still in the inbox. */
function newestConfig(state: MemberState): GroupConfig {
  const proposed = state.inbox.findLast(({ type }) => type === "configChangeRequested");
  if (proposed?.type === "configChangeRequested") return proposed.config;
  const { log, config, lastApplied } = state.replica.core;
  const newest = specialEntries(log).findLast(({ kind }) => kind === "config");
  return newest !== undefined && newest.index > lastApplied
    ? (newest.payload as GroupConfig)
    : config;
}

function configChangeRequested(
  state: MemberState,
  sink: ReplySink,
  callerRequest: number,
  body: unknown,
): void {
  const config = validateGroupConfig(body as GroupConfigChange, newestConfig(state));
  const render = (): Uint8Array => encode(state, state.replica.core.config);
  const request = wait(state, sink, callerRequest, "admin", 0, 0, null, render);
  const timeMs = proposalTimeMs(state);
  post(state, { type: "configChangeRequested", request, config, timeMs }, 0);
}

function removalForced(
  state: MemberState,
  sink: ReplySink,
  callerRequest: number,
  id: string,
): void {
  const resolved = resolveMember(state, id);
  if (resolved === state.self.id) {
    const why = `forceRemove: ${id} is the member that is asked; ask one that is to go on without it`;
    throw new RaftError("invalidArgument", why);
  }
  const request = wait(state, sink, callerRequest, "admin", 0, 0, null, () => encode(state, null));
  const nowMs = state.services.clock.nowMs();
  state.services.logger.warn(
    {
      group: state.group,
      member: state.self.id,
      removed: resolved,
      address: addressOf(state, resolved),
    },
    `forced removal of ${resolved} from group "${state.group}": unsafe if it is alive`,
  );
  post(state, { type: "removalForced", request, id: resolved, nowMs }, 0);
}

function snapshotRequested(state: MemberState, sink: ReplySink, callerRequest: number): void {
  // Answered by `snapshotSaved`; a refusal carries the request as well.
  const request = wait(state, sink, callerRequest, "admin", 0, 0, null, () => emptyBytes);
  post(state, { type: "snapshotRequested", request }, 0);
}
