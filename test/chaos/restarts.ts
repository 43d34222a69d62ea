/**
 * Restarts without end: one, two or all of three durable members are killed with SIGKILL, again and
 * again, under clients that write down what they see. Some are killed once more while they are still
 * reading their directories, or electing. At the end the history is judged.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../../src/clock/virtual.js";
import { RaftError } from "../../src/index.js";
import { type History, HistoryRecorder } from "../../src/sim/history.js";
import {
  checkLinearizable,
  type CheckResult,
  describeCheck,
} from "../../src/sim/linearizability.js";
import { readHistory, readOnceMore, recover } from "./aftermath.js";
import { atExit } from "./at-exit.js";
import { bookOfVersion1 } from "./book.js";
import { ProxyNetwork } from "./proxies.js";
import { clientIds, memberIds, Stage } from "./stage.js";

export type RestartOptions = {
  /** At least; more until enough calls were answered in between to say something. */
  readonly cycles: number;
  readonly clients: number;
  readonly seed: number;
  readonly tell: (line: string) => void;
};

export type RestartReport = {
  /** Empty: everything held. */
  readonly problems: readonly string[];
  readonly cycles: number;
  /** How often one, two and three members were killed at once. */
  readonly killed: readonly [number, number, number];
  /** Of all these, members that had not come back from the time before. */
  readonly killedWhileStarting: number;
  readonly history: History;
  readonly verdict: CheckResult;
};

const members = 3;
/** Short times and small files: elections, snapshots and new segments in every second of it. */
const setup = {
  config: { heartbeatMs: 50, electionTimeoutMs: 300, clockDriftMarginMs: 100 },
  storage: { firstSegmentBytes: 8192, segmentBytes: 65_536, maxLogBytes: 262_144 },
};
const answerPatienceMs = 60_000;
const callTimeoutMs = 2000;
const tellEveryCycles = 50;
/** The next kill comes as soon as the group answers, and clients may have had an answer or two by then. */
const leastAnswers = 100;

export async function runRestarts(options: RestartOptions): Promise<RestartReport> {
  const dir = mkdtempSync(join(tmpdir(), "rafted-value-restarts-"));
  const { seed, clients, tell } = options;
  const ids = memberIds(members);
  const network = new ProxyNetwork([...ids, ...clientIds(clients)]);
  const stage = new Stage(dir, seed, ids, network, setup);
  const leave = atExit(() => stage.abandon());
  const killer = new Killer(stage, seed);
  try {
    await stage.begin(clientIds(clients));
    tell(`${members} durable members and ${clients} clients are at work`);
    const isEnough = (): boolean =>
      killer.cycles >= options.cycles && answersIn(callsOf(stage, killer)) >= leastAnswers;
    while (stage.problems.length === 0 && !isEnough()) {
      await killer.cycle();
      if (killer.cycles % tellEveryCycles === 0) tell(`${killer.cycles} restarts so far`);
    }
    await recover(stage);
    const calls = [...callsOf(stage, killer), ...(await readOnceMore(stage))];
    const history = calls.sort((a, b) => a.call - b.call);
    const verdict = checkLinearizable(bookOfVersion1, history);
    const { cycles, killed, killedWhileStarting } = killer;
    const problems = problemsOf(stage, killer, history, verdict);
    return { problems, cycles, killed, killedWhileStarting, history, verdict };
  } finally {
    await stage.end();
    leave();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** So far; the clients may still be at work. */
function callsOf(stage: Stage, killer: Killer): History {
  return [...readHistory(stage.files), ...killer.calls];
}

function answersIn(calls: History): number {
  return calls.filter(({ outcome }) => outcome === "ok").length;
}

/** The hand with the knife, and a client of its own that waits for the group to answer again. */
class Killer {
  cycles = 0;
  killedWhileStarting = 0;
  readonly killed: [number, number, number] = [0, 0, 0];
  readonly #stage: Stage;
  readonly #random: SeededRandom;
  readonly #recorder: HistoryRecorder;

  constructor(stage: Stage, seed: number) {
    this.#stage = stage;
    this.#random = new SeededRandom([seed, 1]);
    this.#recorder = new HistoryRecorder(() => Number(process.hrtime.bigint() - stage.baseNs));
  }

  get calls(): History {
    return this.#recorder.operations;
  }

  /** Kills some, lets them come back, and waits, most times, until the group answers again. */
  async cycle(): Promise<void> {
    const victims = this.#someMembers();
    await this.#kill(victims);
    while (this.#random.next() < 0.2) await this.#killWhileStarting(victims);
    await Promise.all(victims.map((id) => this.#stage.start(id)));
    if (this.#random.next() < 0.8) await this.#answersAgain();
  }

  #someMembers(): readonly string[] {
    const left = [...this.#stage.ids];
    const victims: string[] = [];
    const count = 1 + this.#random.below(left.length);
    while (victims.length < count) {
      victims.push(...left.splice(this.#random.below(left.length), 1));
    }
    return victims;
  }

  async #kill(victims: readonly string[]): Promise<void> {
    await Promise.all(victims.map((id) => this.#stage.stop(id, "SIGKILL")));
    this.cycles += 1;
    this.killed[victims.length - 1]! += 1;
  }

  /** As soon as the first of them listens: it has read its directory, others are reading theirs. */
  async #killWhileStarting(victims: readonly string[]): Promise<void> {
    const starts = victims.map((id) => this.#stage.start(id));
    await Promise.race(victims.map((id) => this.#stage.listens(id)));
    await this.#kill(victims);
    await Promise.all(starts);
    this.killedWhileStarting += victims.length;
  }

  async #answersAgain(): Promise<void> {
    const untilMs = performance.now() + answerPatienceMs;
    const client = this.#stage.files.length;
    const key = `answers ${this.cycles}`;
    for (let op = -1; performance.now() < untilMs; op--) {
      const arg = { key, op };
      const call = this.#recorder.begin(client, "command", "write", arg);
      try {
        call.ok(await this.#stage.observer.command("write", arg, { timeoutMs: callTimeoutMs }));
        return;
      } catch (error) {
        if (error instanceof RaftError && error.applied === "no") call.failed();
        else call.unknown();
      }
    }
    this.#stage.problems.push(`the group does not answer after restart ${this.cycles}`);
  }
}

function problemsOf(
  stage: Stage,
  { cycles, killed }: Killer,
  history: History,
  verdict: CheckResult,
): readonly string[] {
  const problems = [...stage.problems];
  if (killed.includes(0) && cycles >= 10 * members) {
    problems.push(`killed at once one, two, three times: ${killed.join(", ")}`);
  }
  if (!history.some(({ kind, outcome }) => kind === "command" && outcome === "ok")) {
    problems.push("not one command was answered");
  }
  if (verdict.type !== "linearizable") problems.push(describeCheck(verdict));
  return problems;
}
