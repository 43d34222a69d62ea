/**
 * A member under attack: `node member.js PLAN`, with an IPC channel. Says where it listens, waits for
 * its routes, enters the group and serves until SIGTERM, `stop`, or its own end.
 */
import { fileStorage, type Logger, RaftError, startHost } from "../../src/index.js";
import { bookOf } from "./book.js";
import { RoutedTransport } from "./routed.js";
import type { FromMember, MemberPlan, ToChild } from "./words.js";

const plan = JSON.parse(process.argv[2]!) as MemberPlan;
const joinTimeoutMs = 10_000;

function tell(message: FromMember): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) return resolve();
    process.send!(message, () => resolve());
  });
}

const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (_fields, message) => void tell({ type: "complaint", message: `${plan.id}: ${message}` }),
};

const machineMs = Date.now;

/** Of the whole process, so that it reaches whoever asks for the date where no date is to be asked for. */
function setWallClock(offsetMs: number): void {
  Date.now = () => machineMs() + offsetMs;
}

async function main(): Promise<void> {
  const transport = new RoutedTransport({});
  let routed: () => void = () => undefined;
  const hasRoutes = new Promise<void>((resolve) => (routed = resolve));
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  process.on("message", (message) => {
    const said = message as ToChild;
    if (said.type === "stop") return stop();
    if (said.type === "wallClock") return setWallClock(said.offsetMs);
    transport.setRoutes(said.routes);
    routed();
  });
  process.on("SIGTERM", () => stop());
  const host = await startHost({
    ...{ id: plan.id, listen: plan.listen, advertise: plan.address },
    ...{ storage: fileStorage(plan.dir, plan.storage), transport, logger },
  });
  await tell({ type: "listening", address: transport.listening });
  await hasRoutes;
  try {
    const group = await host.group(plan.group, bookOf(plan.version), {
      start: plan.join === null ? "create" : { join: plan.join },
      config: plan.config,
      timeoutMs: joinTimeoutMs,
    });
    await tell({ type: "ready", memberId: group.id });
    const ended = group.closed.then(() => true);
    if (await Promise.race([ended, stopped.then(() => false)])) await tell({ type: "ended" });
  } catch (error) {
    if (!(error instanceof RaftError)) throw error;
    await tell({ type: "refused", code: error.code, message: error.message });
  }
  await host.close();
  if (process.connected) process.disconnect();
}

// Whoever started us is gone: nothing is left behind.
process.on("disconnect", () => process.exit());
await main();
