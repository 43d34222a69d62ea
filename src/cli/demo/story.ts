/** The story of the README: a queue in three processes that outlives two of them. */
import { setImmediate as turn } from "node:timers/promises";
import {
  clientOf,
  command,
  forgetClient,
  hostOf,
  kill,
  leaderOf,
  query,
  type Stage,
  startHere,
  statusWhen,
  tell,
  tellCall,
  tellMembers,
} from "./stage.js";

export async function tellStory(stage: Stage): Promise<void> {
  await gather(stage);
  await useTheQueue(stage);
  await loseBaz(stage);
  await bringBazBack(stage);
  await loseTheLeader(stage);
}

function addressesOf(stage: Stage): readonly string[] {
  return [...stage.members.values()].map(({ address }) => address);
}

async function gather(stage: Stage): Promise<void> {
  tell(stage, "0. Three members, each a process of its own");
  await startHere(stage, "foo", []);
  await startHere(stage, "bar", addressesOf(stage));
  await startHere(stage, "baz", addressesOf(stage));
  const status = await statusWhen(
    stage,
    "foo",
    "all three are voters",
    ({ members }) => members.filter(({ state }) => state === "voter").length === 3,
  );
  tellMembers(stage, "now", status);
}

async function useTheQueue(stage: Stage): Promise<void> {
  tell(stage, "1. A queue: in through foo, out through bar");
  for (const [length, item] of ["a", "b", "c", "d", "e"].entries()) {
    await command(stage, "foo", length, "enqueue", item);
  }
  await command(stage, "bar", "a", "dequeue");
  await command(stage, "bar", "b", "dequeue");
  await command(stage, "baz", 3, "enqueue", "f");
  await query(stage, "baz", 4, "length");
}

async function loseBaz(stage: Stage): Promise<void> {
  tell(stage, "2. baz is killed (SIGKILL); two of three go on");
  await forgetClient(stage, "baz");
  const fromMs = performance.now();
  await kill(stage, "baz");
  const answer = await clientOf(stage, "bar").command("dequeue");
  const outageMs = performance.now() - fromMs;
  await tellCall(stage, "bar", 'command("dequeue")', answer, "c");
  tellOutage(stage, "baz", outageMs);
}

function tellOutage(stage: Stage, who: string, outageMs: number): void {
  const ms = Math.round(outageMs);
  tell(stage, `  outage: ${ms} ms from the kill of ${who} to the answer`, {
    killed: who,
    outageMs: ms,
  });
}

/** A process that lost its memory is a new member: it must not vote as the one that it was. */
async function bringBazBack(stage: Stage): Promise<void> {
  tell(
    stage,
    "3. baz is started again, without its memory: a new incarnation replaces the old one",
  );
  const leader = await leaderOf(stage, "foo");
  const before = await statusWhen(stage, leader, "the leader misses baz", ({ members }) =>
    members.some(({ id, unresponsive }) => hostOf(id) === "baz" && unresponsive === true),
  );
  tellMembers(stage, "before", before);
  const old = before.members.find(({ id }) => hostOf(id) === "baz")!.id;
  await startHere(stage, "baz", addressesOf(stage));
  const after = await statusWhen(
    stage,
    leader,
    "the new baz is a voter in place of the old one",
    ({ members, pendingMembershipChange }) =>
      !pendingMembershipChange &&
      members.length === 3 &&
      members.every(({ id, state }) => id !== old && state === "voter"),
  );
  tellMembers(stage, "after", after);
}

/** The leader is stopped first, so that the command is certainly without an answer when it dies. */
async function loseTheLeader(stage: Stage): Promise<void> {
  const leader = await leaderOf(stage, "bar");
  tell(stage, `4. The leader, ${leader}, is killed while a dequeue is under way`);
  const through = ["bar", "baz", "foo"].find((id) => id !== leader)!;
  await forgetClient(stage, leader);
  const client = clientOf(stage, through);
  // The client's way to the leader is open, so that the command is on it when the leader dies.
  await query(stage, through, 3, "length");
  stage.members.get(leader)!.child.kill("SIGSTOP");
  let answered = false;
  const answer = client.command("dequeue").finally(() => (answered = true));
  await turn();
  await turn();
  if (answered) stage.wrong.push("the dequeue was answered before the leader was killed");
  const fromMs = performance.now();
  await kill(stage, leader);
  const item = await answer;
  const outageMs = performance.now() - fromMs;
  await tellCall(stage, through, 'command("dequeue")', item, "d");
  tellOutage(stage, leader, outageMs);
  const other = [...stage.members.keys()].find((id) => id !== through)!;
  await query(stage, other, 2, "length");
}
