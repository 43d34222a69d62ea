/** What has to be undone whatever ends this process, Ctrl-C too. */

const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** `undo` cannot wait for anything. Call what comes back when there is nothing left to undo. */
export function atExit(undo: () => void): () => void {
  const leave = (signal: NodeJS.Signals): void =>
    process.exit(128 + numbers[signal as keyof typeof numbers]);
  const signals = Object.keys(numbers) as (keyof typeof numbers)[];
  process.on("exit", undo);
  for (const signal of signals) process.on(signal, leave);
  return () => {
    process.off("exit", undo);
    for (const signal of signals) process.off(signal, leave);
  };
}
