/**
 * Names and addresses that a stranger brings are logged, compared and kept, so they are bounded before
 * anything is done with them.
 */
import type { Hello, OpenClient, OpenPeer } from "../codec/types.js";
import { RaftError } from "../errors.js";
import { checkName } from "../member/names.js";

export function checkHello(frame: Hello): void {
  checkName("hello.from", frame.from, "protocolMismatch");
}

const peerFields = ["group", "groupId", "from", "fromAddress", "to", "valueName"] as const;

export function checkOpenPeer(frame: OpenPeer): void {
  for (const field of peerFields) checkName(`openPeer.${field}`, frame[field], "protocolMismatch");
}

export function checkOpenClient({ group, valueName }: OpenClient): void {
  checkName("openClient.group", group, "protocolMismatch");
  if (valueName !== null) checkName("openClient.valueName", valueName, "protocolMismatch");
}

/** Of a member, in the status that somebody has sent; decoded, so of any type. */
export function checkToldAddress(address: unknown): void {
  if (typeof address !== "string" || address === "") {
    throw new RaftError("protocolMismatch", "status.members: an address must be a text");
  }
  checkName("status.members: an address", address, "protocolMismatch");
}
