/** How long a name or an address may be that comes from elsewhere. */
import { RaftError, type RaftErrorCode } from "../errors.js";

/** Room for any host name and for what a value may be called; far from what would hurt a log line. */
export const maxNameChars = 512;

/** Refuses with `code` what is too long or would break a line; the message does not repeat it. */
export function checkName(field: string, text: string, code: RaftErrorCode): void {
  if (text.length > maxNameChars) {
    throw new RaftError(
      code,
      `${field} has ${text.length} characters; ${maxNameChars} are the most that is taken`,
    );
  }
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) >= 0x20 && text.charCodeAt(at) !== 0x7f) continue;
    throw new RaftError(code, `${field} holds a control character at ${at}`);
  }
}
