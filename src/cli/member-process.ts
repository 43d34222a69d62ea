/**
 * A member in a process of its own: `rafted-value start` as a child.
 *
 * The child gets an IPC channel that nobody writes to. It closes when this process ends, in whatever
 * way, and then the child stops; so nothing is left behind even after SIGKILL.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export type MemberProcess = {
  readonly id: string;
  /** As printed by the child: the port that it got. */
  readonly address: string;
  readonly child: ChildProcess;
  /** Resolves when the process is gone. */
  readonly exited: Promise<Exit>;
  /** The last lines that it wrote to stderr. */
  readonly complaints: () => string;
};

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** The children of one program, all of which end with it. */
export type Family = {
  readonly children: Set<ChildProcess>;
  /** Nobody is born any more. */
  ended: boolean;
};

export function createFamily(): Family {
  const family: Family = { children: new Set(), ended: false };
  // "exit" comes after an uncaught exception as well. SIGKILL also ends those that were stopped.
  process.on("exit", () => killAll(family));
  return family;
}

export function killAll(family: Family): void {
  for (const child of family.children) child.kill("SIGKILL");
}

/** Kills whoever is left and waits until all are gone. */
export async function endFamily(family: Family): Promise<void> {
  family.ended = true;
  const gone = [...family.children].map(
    (child) => new Promise<void>((resolve) => void child.once("close", () => resolve())),
  );
  killAll(family);
  await Promise.all(gone);
}

const mainPath = fileURLToPath(new URL("./main.js", import.meta.url));
const keptLines = 20;

/**
 * Starts a member and resolves once it serves. Rejects with what it said if it ends before that.
 * `args`: the options of `start` but `--id`.
 */
export async function startMember(
  family: Family,
  id: string,
  args: readonly string[],
): Promise<MemberProcess> {
  if (family.ended) throw new Error(`${id} was to be started after the end`);
  const child = spawn(process.execPath, [mainPath, "start", "--id", id, ...args], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  family.children.add(child);
  const said: string[] = [];
  const complaints = (): string => said.join("\n");
  createInterface({ input: child.stderr! }).on("line", (line) => {
    said.push(line);
    if (said.length > keptLines) said.shift();
  });
  const exited = new Promise<Exit>((resolve) => {
    child.once("close", (code, signal) => {
      family.children.delete(child);
      resolve({ code, signal });
    });
  });
  const address = await readyAddress(child, id, exited, complaints);
  return { id, address, child, exited, complaints };
}

function readyAddress(
  child: ChildProcess,
  id: string,
  exited: Promise<Exit>,
  complaints: () => string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const ready = /^ready id=\S+ listen=(\S+)$/.exec(line);
      if (ready !== null) resolve(ready[1]!);
    });
    child.once("error", reject);
    void exited.then(({ code, signal }) => {
      const how = signal === null ? `code ${code}` : signal;
      reject(new Error(`${id} ended with ${how} before it served: ${complaints()}`));
    });
  });
}
