/**
 * The language of the scenario files. A file is a sentence (lines that begin with #) and blocks: a
 * few commands, `----`, and what they print. `quiet` before a command keeps its output back.
 *
 *     settings heartbeatMs=50 ...   the group's configuration, before `members`
 *     members a b c          voters of a group whose log already says so (entries 1 and 2, term 1)
 *     member d               a newcomer with nothing in its storage
 *     log a 1 1 2            gives a's log further entries of these terms, before anything ran (1*9: nine of them)
 *     term a 7               raises a's term, before anything ran
 *     elect a                lets a's election timer run out and delivers until nothing moves
 *     fire a election        one timer, nothing is delivered
 *     heartbeat a            fire a heartbeat
 *     propose a x y          commands, one turn for all of them
 *     register a n           opens a session
 *     read a r1 r2 | add a d [stays] | remove a c | transfer a b|none | config a heartbeatMs=50
 *     snapshot a             asks a for a snapshot
 *     told c 5 100           c hears that its leader took a snapshot of 100 bytes at 5
 *     force a c | snapshotDone a [failed] | storageFailed a | stalled a | disconnected a b
 *     deliver a->b [type]    the oldest message on that way (of that type); `deliver` alone: all
 *     drop a->b [type] | drop  loses it / everything
 *     copy a->b [type]       duplicates it, the copy goes to the end
 *     keep a->b [type] | kept  takes it aside / puts all of those back into the bag
 *     cut a->b | cut a | heal  a message that is delivered over a cut is lost
 *     crash a | restart a | wipe a  (a#2 style ids are members like any other)
 *     hold a | stored a [n] | release a   storage acknowledgements by hand
 *     holdSnapshots a        snapshots are finished by `snapshotDone`
 *     snapshotDone a with b->a  in one turn with the oldest message on that way
 *     holdChunks a | chunk a storage's answers about a leader's snapshot, one by one by hand
 *     pass 500               time goes by; timers fire by hand only
 *     timers                 from here on, timers that are set or cancelled are printed
 *     state a                role, term, log, commit
 *     bag                    what is on its way
 */
import { allEntries } from "../../../src/core/log.js";
import assert from "node:assert/strict";
import { bootstrapEntries, readStatus } from "../../../src/core/index.js";
import { validateGroupConfig } from "../../../src/core/config.js";
import type { CoreEvent, Entry, MemberId, Membership, TimerName } from "../../../src/core/types.js";
import { showEntry, showMembership, showMessage } from "../../../src/sim/explorer-show.js";
import { World } from "./world.js";

const encoder = new TextEncoder();
const wallMs = 1_000_000;

/** Nothing is compacted unless a scenario says so by `settings`. */
const scenarioConfig = validateGroupConfig({ snapshotLogFactor: 1, trailingLogBytes: 0 });

type Command = (world: World, args: readonly string[]) => void;

function bootDisks(world: World, ids: readonly string[]): void {
  const members = ids.map((id) => ({ id, address: `${id}:1` }));
  const [config, membership] = bootstrapEntries(members[0]!, world.config, wallMs);
  const everybody: Membership = { voters: ids, outgoing: [], learners: [], members };
  for (const id of ids) {
    const entries: Entry[] = [config!, { ...membership!, payload: everybody }];
    world.add(
      id,
      {
        hardState: { currentTerm: 1, votedFor: null, forcedRemovals: [] },
        snapshot: null,
        entries,
      },
      false,
    );
  }
}

function termsOf(text: string): number[] {
  const [term, times] = text.split("*");
  return Array<number>(Number(times ?? 1)).fill(Number(term));
}

function extendLog(world: World, id: string, terms: readonly string[]): void {
  const node = world.node(id);
  const { entries } = node.disk;
  for (const term of terms.flatMap(termsOf)) {
    const index = entries.length + 1;
    entries.push({
      ...{ index, term, kind: "command", session: 0, sequence: 0, lowestOutstanding: 0 },
      ...{ timeMs: wallMs, body: encoder.encode(`t${term}i${index}`), payload: null },
    });
  }
  const currentTerm = Math.max(1, entries.at(-1)!.term);
  node.disk.hardState = { currentTerm, votedFor: null, forcedRemovals: [] };
  world.boot(node, false);
}

function request(
  world: World,
  id: string,
  name: string,
  make: (request: number) => CoreEvent,
): void {
  world.handle(id, make(world.request(name)));
}

function find(world: World, route: string, type: string | undefined): number {
  const at = world.bag.findIndex(
    (letter) =>
      `${letter.from}->${letter.to}` === route &&
      (type === undefined || letter.message.type === type),
  );
  assert.ok(at >= 0, `nothing ${type ?? ""} is on its way ${route}`);
  return at;
}

/** `x*1000` stands for a body of 1000 letters. */
function bodyOf(text: string): Uint8Array {
  const [letter, times] = text.split("*");
  return encoder.encode(times === undefined ? text : letter!.repeat(Number(times)));
}

function configOf(world: World, words: readonly string[]) {
  const change = words.map((word) => word.split("=")).map(([name, value]) => [name, Number(value)]);
  return validateGroupConfig(Object.fromEntries(change), world.config);
}

function cut(world: World, what: string): void {
  if (what.includes("->")) world.cuts.add(what);
  else {
    for (const other of world.nodes.keys()) {
      world.cuts.add(`${what}->${other}`).add(`${other}->${what}`);
    }
  }
}

function showState(world: World, id: string): void {
  const core = world.coreOf(id);
  const status = readStatus(core);
  const log = allEntries(core.log).map(showEntry).join(" ");
  const compacted = core.log.offset > 0 ? `(${core.log.offset}@${core.log.offsetTerm}) ` : "";
  world.print(
    `${id} ${status.role} term=${status.term} vote=${core.votedFor ?? "-"} ` +
      `leader=${status.leader ?? "-"} ` +
      `commit=${status.commitIndex} applied=${status.lastApplied} log: ${compacted}${log}`,
  );
  world.print(`  ${showMembership(core.membership)}`);
}

const moving: Record<string, Command> = {
  settings: (world, words) => {
    world.config = configOf(world, words);
  },
  members: (world, ids) => bootDisks(world, ids),
  member: (world, [id]) => {
    world.add(id!, { hardState: null, snapshot: null, entries: [] }, false);
  },
  log: (world, [id, ...terms]) => extendLog(world, id!, terms),
  term: (world, [id, term]) => {
    const node = world.node(id!);
    node.disk.hardState = { currentTerm: Number(term), votedFor: null, forcedRemovals: [] };
    world.boot(node, false);
  },
  elect: (world, [id]) => {
    world.handle(id!, { type: "timerFired", timer: "election", nowMs: world.nowMs });
    world.settle();
  },
  fire: (world, [id, timer]) => {
    const { timers } = world.node(id!);
    assert.ok(timers.delete(timer as TimerName), `${id} has no ${timer} timer set`);
    world.handle(id!, { type: "timerFired", timer: timer as TimerName, nowMs: world.nowMs });
  },
  heartbeat: (world, [id]) => {
    world.handle(id!, { type: "timerFired", timer: "heartbeat", nowMs: world.nowMs });
  },
  deliver: (world, [route, type]) => {
    if (route === undefined) world.settle();
    else world.deliver(world.bag.splice(find(world, route, type), 1)[0]!);
  },
  drop: (world, [route, type]) => {
    if (route === undefined) world.bag.length = 0;
    else world.bag.splice(find(world, route, type), 1);
  },
  copy: (world, [route, type]) => {
    world.bag.push(world.bag[find(world, route!, type)]!);
  },
  keep: (world, [route, type]) => {
    world.kept.push(...world.bag.splice(find(world, route!, type), 1));
  },
  kept: (world) => {
    world.bag.push(...world.kept.splice(0));
  },
  cut: (world, whats) => whats.forEach((what) => cut(world, what)),
  heal: (world) => world.cuts.clear(),
  crash: (world, [id]) => world.crash(id!),
  restart: (world, [id]) => world.boot(world.node(id!), true),
  wipe: (world, [id]) => {
    world.crash(id!);
    world.nodes.delete(id!);
  },
  hold: (world, [id]) => {
    world.node(id!).storesAtOnce = false;
  },
  stored: (world, [id, count]) => {
    const node = world.node(id!);
    assert.ok(node.pending.length > 0, `${id} has handed nothing to storage`);
    world.handle(id!, ...world.takeStored(node, count === undefined ? undefined : Number(count)));
  },
  release: (world, [id]) => {
    const node = world.node(id!);
    node.storesAtOnce = true;
    if (node.pending.length > 0) world.handle(id!, ...world.takeStored(node));
  },
  holdSnapshots: (world, [id]) => {
    world.node(id!).snapshotsAtOnce = false;
  },
  holdChunks: (world, [id]) => {
    world.node(id!).chunksAtOnce = false;
  },
  chunk: (world, [id]) => {
    const held = world.node(id!).heldChunks.shift();
    assert.ok(held, `${id} has no answer about a chunk`);
    world.handle(id!, held);
  },
  pass: (world, [ms]) => {
    world.nowMs += Number(ms);
  },
  timers: (world) => {
    world.showsTimers = true;
  },
  state: (world, ids) => ids.forEach((id) => showState(world, id)),
  bag: (world) => {
    for (const { from, to, message } of world.bag) {
      world.print(`${from}->${to} ${showMessage(message)}`);
    }
  },
};

const asking: Record<string, Command> = {
  propose: (world, [id, ...bodies]) => {
    const events = bodies.map((body): CoreEvent => ({
      ...{ type: "commandProposed", kind: "command", request: world.request(body), session: 0 },
      ...{ sequence: 0, lowestOutstanding: 0, timeMs: wallMs, body: bodyOf(body) },
    }));
    world.handle(id!, ...events);
  },
  register: (world, [id, name]) =>
    request(world, id!, name!, (number) => ({
      ...{ type: "commandProposed", kind: "register", request: number, session: 0 },
      ...{ sequence: 7, lowestOutstanding: 0, timeMs: wallMs, body: new Uint8Array(0) },
    })),
  read: (world, [id, ...names]) => {
    const { nowMs } = world;
    const events = names.map((name): CoreEvent => ({
      type: "readRequested",
      request: world.request(name),
      nowMs,
    }));
    world.handle(id!, ...events);
  },
  add: (world, [id, member, stays]) =>
    request(world, id!, `add-${member}`, (number) => ({
      ...{ type: "membershipChangeRequested", request: number, timeMs: wallMs, nowMs: world.nowMs },
      change: {
        type: "add",
        member: { id: member!, address: `${member}:1` },
        promote: stays !== "stays",
      },
    })),
  move: (world, [id, member, address]) =>
    request(world, id!, `move-${member}`, (number) => ({
      ...{ type: "membershipChangeRequested", request: number, timeMs: wallMs, nowMs: world.nowMs },
      change: { type: "move", member: { id: member!, address: address! } },
    })),
  remove: (world, [id, member]) =>
    request(world, id!, `remove-${member}`, (number) => ({
      ...{ type: "membershipChangeRequested", request: number, timeMs: wallMs, nowMs: world.nowMs },
      change: { type: "remove", id: member! },
    })),
  transfer: (world, [id, target]) =>
    request(world, id!, `transfer-${target}`, (number) => ({
      ...{ type: "transferRequested", request: number, nowMs: world.nowMs },
      target: target === "none" ? null : (target as MemberId),
    })),
  config: (world, [id, ...words]) =>
    request(world, id!, "config", (number) => ({
      ...{ type: "configChangeRequested", request: number, timeMs: wallMs },
      config: configOf(world, words),
    })),
  force: (world, [id, member]) =>
    request(world, id!, `force-${member}`, (number) => ({
      ...{ type: "removalForced", request: number, id: member!, nowMs: world.nowMs },
    })),
  snapshot: (world, [id]) =>
    request(world, id!, "snapshot", (number) => ({ type: "snapshotRequested", request: number })),
  told: (world, [id, index, sizeBytes]) =>
    world.handle(id!, {
      ...{ type: "leaderSnapshotTold", index: Number(index), sizeBytes: Number(sizeBytes) },
    }),
  snapshotDone: (world, [id, how, route]) => {
    const node = world.node(id!);
    if (how === undefined) world.handle(id!, world.saveSnapshot(node));
    else if (how === "with") {
      const { from, message } = world.bag.splice(find(world, route!, undefined), 1)[0]!;
      const saved = world.saveSnapshot(node);
      world.handle(id!, saved, { type: "messageReceived", from, message, nowMs: world.nowMs });
    } else {
      const index = node.pendingSnapshot!.index;
      node.pendingSnapshot = null;
      world.handle(id!, { type: "snapshotFailed", index });
    }
  },
  storageFailed: (world, [id]) => world.handle(id!, { type: "storageFailed" }),
  stalled: (world, [id]) =>
    world.handle(id!, { type: "stalled", lateMs: 5000, nowMs: world.nowMs }),
  disconnected: (world, [id, peer]) => world.handle(id!, { type: "peerDisconnected", peer: peer! }),
};

function obey(world: World, line: string): void {
  const words = line.split(/\s+/);
  world.muted = words[0] === "quiet";
  if (world.muted) words.shift();
  const [name, ...args] = words;
  const command = moving[name!] ?? asking[name!];
  assert.ok(command, `no such command: ${name}`);
  try {
    command(world, args);
  } catch (error) {
    throw new Error(`in "${line}": ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    world.muted = false;
  }
}

/** Runs the commands of a scenario and returns the file with what they print now. */
export function rewriteScenario(text: string): string {
  const world = new World(scenarioConfig);
  const blocks = text.trimEnd().split(/\n\n+/);
  return (
    blocks
      .map((block) => {
        if (block.split("\n").every((line) => line.startsWith("#"))) return block;
        const commands = block.split("\n----")[0]!;
        world.lines = [];
        for (const line of commands.split("\n")) if (!line.startsWith("#")) obey(world, line);
        return [commands, "----", ...world.lines].join("\n");
      })
      .join("\n\n") + "\n"
  );
}
