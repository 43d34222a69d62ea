/** What the system's error codes mean, in words for an operator. */
import type { TLSSocket } from "node:tls";

const reasons: Readonly<Record<string, string>> = Object.freeze({
  ECONNREFUSED: "nobody listens there; is it running, and is the port right?",
  ECONNRESET: "the other side reset it",
  EPIPE: "the other side is gone",
  ETIMEDOUT: "the other side does not answer",
  EHOSTUNREACH: "no route to that host",
  ENETUNREACH: "no route to that network",
  ENOTFOUND: "no such host name",
  EAI_AGAIN: "the name service does not answer",
  EADDRINUSE: "the address is in use; choose another port, or end the process that holds it",
  EADDRNOTAVAIL: "this machine has no such address; listen on one that it has, or on 0.0.0.0",
  EACCES: "not permitted; a port below 1024 may need privileges",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name; set tls.serverName",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not signed by tls.ca",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not signed by tls.ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is not signed by tls.ca",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_SSL_WRONG_VERSION_NUMBER: "the other side speaks no TLS",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "the other side speaks no TLS",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "the other side asks for a certificate",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "the other side shows no certificate",
});

/** One line: what happened, and the system's code. */
export function reasonOf(error: Error & { readonly code?: unknown }): string {
  const code = typeof error.code === "string" ? error.code : null;
  // Several addresses of one name were tried and all failed: the first speaks for all.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) {
    return reasonOf(error.errors[0] as Error);
  }
  if (code === null) return firstLine(error.message);
  const known = reasons[code];
  return known === undefined ? `${firstLine(error.message)} (${code})` : `${known} (${code})`;
}

/** Why a side that was accepted is turned out before it has spoken. */
export function refusalOf(error: Error, socket: Pick<TLSSocket, "authorizationError">): string {
  // A string at run time, whatever its type says. Node hangs up on such a certificate and calls that a reset.
  const code: unknown = socket.authorizationError;
  return typeof code === "string"
    ? reasonOf(Object.assign(new Error(code), { code }))
    : reasonOf(error);
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!;
}
