/**
 * How the test, which stays where it was started, looks at members in network namespaces: `ip netns
 * exec NAME node gate.js PLAN`, with an IPC channel. Listening sockets come in over it, each with the
 * address of a member; they belong to the test's network, what is dialled here belongs to this one's.
 */
import { connect, type Server, type Socket } from "node:net";
import type { FromGate, GatePlan, ToGate } from "./words.js";

const plan = JSON.parse(process.argv[2]!) as GatePlan;
let doors = 0;

function forward(near: Socket, { host, port }: ToGate): void {
  const far = connect({ host, port, noDelay: true });
  near.pipe(far);
  far.pipe(near);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on("error", () => one.destroy());
    one.on("close", () => other.destroy());
  }
}

process.on("message", (message, server) => {
  const target = message as ToGate;
  (server as Server).on("connection", (near) => forward(near, target));
  const open: FromGate = { type: "open" };
  if (++doors === plan.doors) process.send!(open);
});
process.on("disconnect", () => process.exit());
