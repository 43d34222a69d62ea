/** Child processes that speak by messages; all of them end with the one that started them. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export type Worker = {
  readonly process: ChildProcess;
  /** Where it listens; empty for a client. */
  readonly address: string;
};

/** Starts a module of this folder and waits until it says `ready`. */
export async function startWorker(module: string, args: readonly string[] = []): Promise<Worker> {
  const path = fileURLToPath(new URL(module, import.meta.url));
  const env = { ...process.env, NODE_ENV: "production" };
  // As a user starts his programs: nothing of the flags that this one was started with.
  const child = fork(path, args, {
    env,
    execArgv: [],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ready = await nextMessage<{ address: string }>(child, "ready");
  return { process: child, address: ready.address };
}

/** The next message of that type; rejects if the process ends or reports an error first. */
export function nextMessage<T>(child: ChildProcess, type: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: { type: string; error?: string }): void => {
      if (message.type === "error") settle(() => reject(new Error(message.error)));
      else if (message.type === type) settle(() => resolve(message as T));
    };
    const onExit = (code: number | null, signal: string | null): void =>
      settle(() => reject(new Error(`process ended (${code ?? signal}) before "${type}"`)));
    const settle = (then: () => void): void => {
      child.off("message", onMessage).off("exit", onExit);
      then();
    };
    child.on("message", onMessage).on("exit", onExit);
  });
}

export async function ask<T>(worker: Worker, message: object, answer: string): Promise<T> {
  const reply = nextMessage<T>(worker.process, answer);
  worker.process.send(message);
  return reply;
}

export async function stopWorkers(workers: readonly Worker[]): Promise<void> {
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((resolve) => {
          if (worker.process.exitCode !== null || worker.process.signalCode !== null)
            return resolve();
          worker.process.once("exit", () => resolve());
          worker.process.kill("SIGKILL");
        }),
    ),
  );
}

/** Lets them go, so that those who have processes of their own can end these first. */
export async function endWorkers(workers: readonly Worker[]): Promise<void> {
  await Promise.all(
    workers.map(async ({ process: child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
    }),
  );
}
