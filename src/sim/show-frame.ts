/** A payload in words, for traces. */
import { decodeFrame } from "../codec/wire.js";
import { showMessage } from "./explorer-show.js";

export function showPayload(payload: Uint8Array): string {
  const frame = decodeFrame(payload);
  switch (frame.type) {
    case "peerMessage":
      return showMessage(frame.message);
    case "peerStanding":
      return `standing ${frame.slot}: ${showMessage(frame.message)}`;
    case "peerRepeats":
      return `again ${frame.slots.join(", ")} of ${frame.sentAtMs}`;
    case "openPeer":
      return `openPeer ${frame.group} ${frame.from} -> ${frame.to}`;
    case "openClient":
    case "channelRefused":
    case "leaderHint":
      return JSON.stringify(frame);
    case "requests":
      return `requests ${frame.requests.map(showRequest).join(", ")}`;
    case "replies":
      return `replies ${frame.replies.map(({ request, status }) => `${request} ${status}`).join(", ")}`;
    case "hello":
    case "welcome":
    case "channelOpened":
    case "refuse":
    case "notify":
    case "ping":
      return frame.type;
    default:
      return frame satisfies never;
  }
}

function showRequest(request: { readonly type: string; readonly request: number }): string {
  const verb = "verb" in request ? ` ${String(request.verb)}` : "";
  const session = "session" in request ? ` session=${String(request.session)}` : "";
  const sequence = "sequence" in request ? `/${String(request.sequence)}` : "";
  return `${request.request} ${request.type}${verb}${session}${sequence}`;
}
