/** Asks one catcher about the program in a tree: does it notice anything? */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Catcher, nameOf } from "./types.js";

export type Verdict = {
  readonly catcher: Catcher;
  /** passed: nothing was noticed. late: it had not ended when its time was over. */
  readonly result: "passed" | "caught" | "late";
  /** caught: by what, in a few words. */
  readonly by: string;
  /** simulator: seeds that were run, the last one failed if it was caught. explorer: states. */
  readonly count: number | null;
  readonly ms: number;
};

type Ended = { readonly code: number | null; readonly said: string; readonly late: boolean };

const keptCharacters = 2_000_000;

/** Of a simulator that found something the rest, its shrinking, is of no interest. */
function runNode(args: readonly string[], limitMs: number, enough: RegExp | null): Promise<Ended> {
  // In a process group of its own, so that children of its own end with it.
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_ENV: "test" },
  });
  return new Promise((resolve, reject) => {
    let said = "";
    let late = false;
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // It ended in this very moment.
      }
    };
    const timer = setTimeout(() => {
      late = true;
      stop();
    }, limitMs);
    const hear = (chunk: unknown): void => {
      if (said.length < keptCharacters) said += String(chunk);
      if (enough?.test(said) === true && !stopped) stop();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: stopped && !late ? 1 : code, said, late });
    });
  });
}

export async function ask(folder: string, catcher: Catcher, limitMs: number): Promise<Verdict> {
  const fromMs = performance.now();
  const { ended, by, count } = await askByType(folder, catcher, limitMs);
  const result = ended.late ? "late" : ended.code === 0 ? "passed" : "caught";
  const ms = performance.now() - fromMs;
  return { catcher, result, by: result === "caught" ? by : "", count, ms };
}

type Asked = Pick<Verdict, "by" | "count"> & { readonly ended: Ended };

async function askByType(folder: string, catcher: Catcher, limitMs: number): Promise<Asked> {
  switch (catcher.type) {
    case "scenario": {
      const program = join(folder, "test/mutants/run-scenario.js");
      const ended = await runNode([program, catcher.name], limitMs, null);
      return { ended, by: nameOf(catcher), count: null };
    }
    case "test": {
      const args = ["--test-reporter=tap", join(folder, `${catcher.file}.js`)];
      const ended = await runNode(args, limitMs, null);
      return { ended, by: failedTest(ended.said), count: null };
    }
    case "explorer":
      return askExplorer(folder, catcher.name, catcher.count ?? null, limitMs);
    case "simulator":
      return askSimulator(folder, catcher.args, limitMs);
    default:
      return catcher satisfies never;
  }
}

/** The innermost test that failed: TAP names it before the suites around it. */
function failedTest(said: string): string {
  return /^\s*not ok \d+ - (.*)$/m.exec(said)?.[1] ?? "the file does not run";
}

/** A search that its time or `maxStates` cuts off has found nothing wrong in what it has seen. */
async function askExplorer(
  folder: string,
  name: string,
  maxStates: number | null,
  limitMs: number,
): Promise<Asked> {
  const program = join(folder, "src/sim/explore-main.js");
  const bounds = maxStates === null ? [] : ["--max-states", String(maxStates)];
  // It ends by itself, so that it can tell how far it came.
  const seconds = ["--seconds", String(Math.max(1, limitMs / 1000 - 2))];
  const ended = await runNode([program, name, ...bounds, ...seconds], limitMs, null);
  const end = /^.*: (WRONG|finished|NOT FINISHED), (\d+) states/m.exec(ended.said);
  const wrong = /^ {2}\d+ members.*\n(.*)$/m.exec(ended.said)?.[1];
  return {
    ended: end === null || end[1] === "WRONG" ? ended : { ...ended, late: false, code: 0 },
    by: wrong ?? "it does not run",
    count: end === null ? null : Number(end[2]),
  };
}

/** Seeds 1, 2, 3 ... until one fails; it has done its work when the time is over. */
async function askSimulator(
  folder: string,
  args: readonly string[],
  limitMs: number,
): Promise<Asked> {
  const program = join(folder, "src/sim/main.js");
  const fixed = args.includes("--seed") || args.includes("--seeds");
  const many = fixed ? [] : ["--from", "1", "--seeds", "1000000"];
  const ended = await runNode([program, ...args, ...many], limitMs, /^again: .*$/m);
  const failure = /^FAILED at .* virtual ms: (.*)$/m.exec(ended.said);
  const again = /^again: +npm run sim -- (.*)$/m.exec(ended.said)?.[1]?.split(" ") ?? null;
  const counted = [...ended.said.matchAll(/^(\d+) seeds, /gm)].at(-1)?.[1];
  const seeds = again === null ? counted : again[again.indexOf("--seed") + 1];
  return {
    ended: ended.late && failure === null ? { ...ended, late: false, code: 0 } : ended,
    by: failure?.[1] ?? "it does not run",
    count: seeds === undefined ? null : Number(seeds),
  };
}
