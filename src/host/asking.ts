/** Asking a member from within its own host, without a client. */
import { textOf } from "../codec/bytes.js";
import { errorCodes, RaftError, type RaftErrorCode } from "../errors.js";
import type { ReplySink } from "../member/types.js";
import type { HostedGroup } from "./hosted-group.js";

/** A sink for one answer. */
export function answerTo(onAnswer: (error: RaftError | null, body: Uint8Array) => void): ReplySink {
  return {
    reply(_request, status, applied, _index, body): void {
      if (status === "ok") return onAnswer(null, body);
      const code = Object.hasOwn(errorCodes, status) ? (status as RaftErrorCode) : "internal";
      const message = body.length === 0 ? errorCodes[code] : textOf(body, "reply");
      onAnswer(new RaftError(code, message, { applied }), body);
    },
  };
}

/** One administrative request to the member of this host. */
export function askAdmin(group: HostedGroup, verb: string, body: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sink = answerTo((error, bytes) => {
      if (error !== null) reject(error);
      else resolve(group.codec.decode(bytes));
    });
    const encoded = group.codec.encode(body);
    group.member.request(sink, { type: "admin", request: 0, verb, body: encoded });
  });
}
