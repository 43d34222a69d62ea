/** How a member begins on this host: created, joining, or restored from storage. */
import { validateGroupConfig } from "../core/config.js";
import { messageOf, RaftError } from "../errors.js";
import type { MemberOptions } from "../member/create.js";
import type { GroupIdentity, RecoveredGroup } from "../ports.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";
import { type GroupOptions, othersToJoin } from "./options.js";

/** The beginning of a member: how its replica starts, and as whom. */
export type Birth = {
  readonly identity: GroupIdentity;
  readonly start: MemberOptions["start"];
  /** Not null: the group has to take it in first. */
  readonly joinThrough: readonly string[] | null;
  /** A newcomer's storage begins when it knows the group's id. */
  readonly stored: boolean;
  /** What it is restored from, or null. */
  readonly restored: RecoveredGroup | null;
};

/** Restored if the storage holds something of the group, otherwise as `start` says. */
export async function beginBirth(
  context: HostContext,
  name: string,
  definition: AnyDefinedValue,
  options: GroupOptions,
): Promise<Birth> {
  const { start, config } = options;
  const checked = validateGroupConfig(config === undefined ? {} : config);
  const found = await findStored(context, name, definition, options);
  const blank = found === undefined || isBlank(found);
  const { random, storage, recovered } = context;
  const identity = found?.identity ?? {
    group: name,
    groupId: start === "create" ? random.id() : "",
    memberId: `${context.id}#${random.id()}`,
    address: context.address,
    valueName: definition.name,
  };
  const stored = found !== undefined;
  if (blank) {
    const joinThrough = start === "create" ? null : othersToJoin(start.join, context.address);
    // Whatever comes of this try, the next one must not take it for stored again.
    recovered.delete(name);
    const begin =
      joinThrough === null
        ? ({ type: "create", config: checked } as const)
        : ({ type: "join" } as const);
    return { identity, start: begin, joinThrough, stored, restored: null };
  }
  const { hardState, snapshot, entries } = found;
  const pieces = snapshot === null ? [] : await storage.loadSnapshot(name);
  recovered.delete(name);
  const restore = { type: "restore", hardState, snapshot, entries, pieces } as const;
  return { identity, start: restore, joinThrough: null, stored, restored: found };
}

/**
 * The definition was refused. Nothing is left of this try, and what the storage held is to be had again: the
 * next one may come with the right definition.
 */
export function undoBirth(
  { storage, turns, recovered }: HostContext,
  { identity, stored, restored }: Birth,
): void {
  if (restored !== null) recovered.set(identity.group, restored);
  else if (stored || identity.groupId !== "") {
    storage.deleteGroup(identity.group);
    turns.storageTouched();
  }
}

/** What can be gone on with: nothing, once a damaged copy was set aside or an empty one is created over. */
async function findStored(
  context: HostContext,
  name: string,
  definition: AnyDefinedValue,
  { start, onDamage }: GroupOptions,
): Promise<RecoveredGroup | undefined> {
  const { recovered } = context;
  const found = recovered.get(name);
  if (found === undefined) return undefined;
  const { damage } = found;
  if (damage !== null && (onDamage !== "rejoin" || start === "create")) {
    throw new RaftError("storageCorrupt", damageLine(name, damage));
  }
  checkValueName(found, definition);
  if (damage === null) return start === "create" && isBlank(found) ? forget(context, name) : found;
  // To learn that there is nobody to join is too late once the copy is out of the way.
  const others = start === "create" ? [] : othersToJoin(start.join, context.address);
  const kept = await setAside(context, name, damage);
  // A crash before this line finds it damaged again, one after it finds nothing: both lead here.
  recovered.delete(name);
  const { id, logger } = context;
  const line =
    `host ${id}: ${damageLine(name, damage)}; it is kept in ${kept}, and this host rejoins as a new ` +
    `member through ${others.join(", ")}`;
  logger.warn({ host: id, group: name }, line);
  return undefined;
}

/** An empty copy may be a newcomer's: two groups under its id would be taken for one. */
function forget({ storage, turns, recovered }: HostContext, name: string): undefined {
  storage.deleteGroup(name);
  turns.storageTouched();
  recovered.delete(name);
}

async function setAside({ storage }: HostContext, name: string, damage: string): Promise<string> {
  const line = damageLine(name, damage);
  if (storage.setAside === undefined) {
    throw new RaftError("storageCorrupt", `${line}; this storage cannot set it aside`);
  }
  try {
    return await storage.setAside(name);
  } catch (error) {
    const code = error instanceof RaftError ? error.code : "storageFailed";
    const why = `${line}; it could not be set aside: ${messageOf(error)}`;
    throw new RaftError(code, why, { cause: error });
  }
}

function damageLine(name: string, damage: string): string {
  return `group "${name}" is damaged in this storage: ${damage}`;
}

/** A newcomer has heard which group took it in: its storage begins. */
export function adopt(context: HostContext, group: HostedGroup, groupId: string): void {
  context.storage.createGroup({
    group: group.name,
    groupId,
    memberId: group.member.id,
    address: context.address,
    valueName: group.definition.name,
  });
  group.member.adopt(groupId);
}

/** Created in storage, and nothing was ever stored of it: it has promised nothing to anybody. */
function isBlank({ hardState, snapshot, entries }: RecoveredGroup): boolean {
  return hardState.currentTerm === 0 && snapshot === null && entries.length === 0;
}

function checkValueName({ identity }: RecoveredGroup, definition: AnyDefinedValue): void {
  const { group, valueName } = identity;
  if (valueName === definition.name) return;
  throw new RaftError(
    "storageMismatch",
    `the storage holds group "${group}" of value "${valueName}", not of "${definition.name}"`,
  );
}
