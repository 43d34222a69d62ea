/** How a long-running verb learns that it should end. */

export type Shutdown = {
  /** Aborts when the process should end; the reason is a word for the log. */
  readonly signal: AbortSignal;
  readonly requested: Promise<string>;
  /** Lets the process end without us listening any longer. */
  dispose(): void;
};

/**
 * SIGINT, SIGTERM, SIGHUP, or the end of the process that started us with an IPC channel (`stdio:
 * "ipc"`): a member that a test or the demo has started must not outlive it, however that one died.
 * The second signal ends the process at once.
 */
export function listenForShutdown(): Shutdown {
  const controller = new AbortController();
  let settle: (reason: string) => void;
  const requested = new Promise<string>((resolve) => (settle = resolve));
  const request = (reason: string): void => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort(reason);
    settle(reason);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const onSignal = (signal: string): void => request(signal);
  const onDisconnect = (): void => {
    if (!controller.signal.aborted) request("parent gone");
  };
  for (const signal of signals) process.on(signal, onSignal);
  process.on("disconnect", onDisconnect);
  return {
    signal: controller.signal,
    requested,
    dispose(): void {
      for (const signal of signals) process.off(signal, onSignal);
      process.off("disconnect", onDisconnect);
    },
  };
}
