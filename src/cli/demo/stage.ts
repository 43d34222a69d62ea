/** What the demo's story is told with: lines, checks, members in processes, clients, waiting. */
import type { GroupStatus } from "../../client/types.js";
import {
  createFamily,
  endFamily,
  type Exit,
  type Family,
  type MemberProcess,
  startMember,
} from "../member-process.js";
import { type AnyClient, openClient } from "../open-group.js";
import { print, showValue, toJson } from "../output.js";
import { queue } from "../values.js";
import { setTimeout as pause } from "node:timers/promises";

export const groupName = "queue";

export type Stage = {
  readonly family: Family;
  readonly members: Map<string, MemberProcess>;
  readonly clients: Map<string, AnyClient>;
  readonly json: boolean;
  readonly startedMs: number;
  /** What was not as it should be. */
  readonly wrong: string[];
  /** Rejects when a member ends that nobody has killed. */
  readonly lost: Promise<never>;
  readonly lose: (problem: Error) => void;
};

export function createStage(json: boolean): Stage {
  let lose: (problem: Error) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => (lose = reject));
  lost.catch(() => undefined);
  return {
    family: createFamily(),
    members: new Map(),
    clients: new Map(),
    json,
    startedMs: performance.now(),
    wrong: [],
    lost,
    lose,
  };
}

export async function strike(stage: Stage): Promise<void> {
  await Promise.all([...stage.clients.values()].map((client) => client.close()));
  await endFamily(stage.family);
}

/** One line of the story; the same facts as an object for `--json`. */
export function tell(stage: Stage, text: string, facts: object = {}): void {
  const atMs = Math.round(performance.now() - stage.startedMs);
  if (stage.json) return print(toJson({ atMs, text: text.trim(), ...facts }));
  print(`${(atMs / 1000).toFixed(3).padStart(7)}  ${text}`);
}

export async function startHere(stage: Stage, id: string, join: readonly string[]): Promise<void> {
  const member = await startMember(stage.family, id, [
    ...["--listen", "127.0.0.1:0", "--group", groupName, "--value", "queue"],
    ...(join.length > 0 ? ["--join", join.join(",")] : []),
  ]);
  stage.members.set(id, member);
  void member.exited.then(({ code, signal }) => {
    if (stage.members.get(id) !== member) return;
    stage.lose(new Error(`${id} ended with ${signal ?? `code ${code}`}: ${member.complaints()}`));
  });
  const how = join.length > 0 ? "joins the group" : "begins a group";
  tell(stage, `${id} ${how}: process ${member.child.pid} at ${member.address}`, {
    member: id,
    pid: member.child.pid,
    address: member.address,
  });
}

export async function kill(stage: Stage, id: string): Promise<Exit> {
  const member = stage.members.get(id)!;
  stage.members.delete(id);
  member.child.kill("SIGKILL");
  return member.exited;
}

/** A client that knows one member only, as a program beside it would; the rest it learns. */
export function clientOf(stage: Stage, id: string): AnyClient {
  const known = stage.clients.get(id);
  if (known !== undefined) return known;
  const target = {
    hosts: [stage.members.get(id)!.address],
    tls: null,
    group: groupName,
    timeoutMs: patienceMs,
  };
  const client = openClient(target, queue);
  stage.clients.set(id, client);
  return client;
}

export async function forgetClient(stage: Stage, id: string): Promise<void> {
  const client = stage.clients.get(id);
  stage.clients.delete(id);
  await client?.close();
}

/** Longest wait for any single step; the whole demo has half a minute. */
export const patienceMs = 15_000;
const lookEveryMs = 20;

/** Asks one member again and again until its status is as wished. */
export async function statusWhen(
  stage: Stage,
  id: string,
  what: string,
  good: (status: GroupStatus) => boolean,
): Promise<GroupStatus> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const status = await clientOf(stage, id).status();
    if (good(status)) return status;
    if (performance.now() > untilMs) throw new Error(`waited in vain until ${what}`);
    await pause(lookEveryMs);
  }
}

export function hostOf(memberId: string | null): string {
  return memberId === null ? "nobody" : memberId.split("#")[0]!;
}

/** Who leads, in the words of a member that is asked now. */
export async function leaderOf(stage: Stage, id: string): Promise<string> {
  const { leader } = await statusWhen(stage, id, "a leader is known", (s) => s.leader !== null);
  return hostOf(leader);
}

/** Tells a call and its answer, and keeps what was wrong about it. */
export async function tellCall(
  stage: Stage,
  through: string,
  call: string,
  answer: unknown,
  expected: unknown,
): Promise<void> {
  const leader = await leaderOf(stage, through);
  const good = answer === expected;
  if (!good) stage.wrong.push(`${call} gave ${showValue(answer)}, not ${showValue(expected)}`);
  tell(
    stage,
    `  ${call.padEnd(24)} -> ${showValue(answer).padEnd(6)} ` +
      `asked through ${through}, answered by ${leader}${good ? "" : "   WRONG"}`,
    { call, answer, expected, through, answeredBy: leader, good },
  );
}

export async function command(
  stage: Stage,
  through: string,
  expected: unknown,
  ...call: readonly [name: string, arg?: string]
): Promise<void> {
  const answer = await clientOf(stage, through).command(...call);
  await tellCall(stage, through, `command(${call.map(toJson).join(", ")})`, answer, expected);
}

export async function query(
  stage: Stage,
  through: string,
  expected: unknown,
  name: string,
): Promise<void> {
  const answer = await clientOf(stage, through).query(name);
  await tellCall(stage, through, `query(${toJson(name)})`, answer, expected);
}

export function tellMembers(stage: Stage, when: string, status: GroupStatus): void {
  const names = status.members.map(({ id, state, unresponsive }) => {
    const role = id === status.leader ? "leader" : state;
    return `${id} (${role}${unresponsive === true ? ", unresponsive" : ""})`;
  });
  tell(stage, `  members ${when}: ${names.join(", ")}`, { when, members: status.members });
}
