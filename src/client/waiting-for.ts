/** What a call that ran out of time was waiting for, in one line that says where to look. */
import { type Call, label } from "./call.js";
import type { Connections } from "./connections.js";

export function whatWasAwaited(call: Call, connections: Connections): string {
  const timeoutMs = Math.round(call.deadlineMs - call.startedMs);
  const text = `${label(call)} got no answer within ${timeoutMs} ms: ${awaited(call, connections)}`;
  const { refusal } = call;
  return refusal === null ? text : `${text}; before that: ${refusal.code}: ${refusal.message}`;
}

function awaited(call: Call, connections: Connections): string {
  const { book, leader } = connections;
  if (call.link !== null) {
    return call.target === "leader"
      ? `it was sent to the leader at ${call.link.address} (term ${leader.term}), which has not ` +
          `answered; has it lost its majority?`
      : `it was sent to ${call.link.address}, which has not answered`;
  }
  const ready = book.entries.filter((entry) => entry.link?.state === "ready");
  if (typeof call.target === "object") {
    const trouble = book.find(call.target.address)?.lastError?.message;
    return trouble ?? `host ${call.target.address} has not answered`;
  }
  if (ready.length === 0) return `no host could be reached (${book.troubles()})`;
  if (call.target !== "leader") return "no host would answer it";
  if (leader.member === null) {
    const addresses = ready.map((entry) => entry.address).join(", ");
    return `no leader is known to ${addresses}; is a majority of the members running?`;
  }
  if (connections.leaderLink() === null) {
    const trouble = leader.address === null ? null : book.find(leader.address)?.lastError;
    const where = leader.address ?? "an unknown address";
    return `the leader ${leader.member} at ${where} could not be reached (${
      trouble?.message ?? "it has not answered yet"
    })`;
  }
  if (call.type === "command" && call.owner === null) return "its session was not registered yet";
  return "it waited to be sent again";
}
