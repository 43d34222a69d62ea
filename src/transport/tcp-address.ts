/** Addresses of the TCP transport: `host:port`, an IPv6 address in brackets. */
import { isIPv6 } from "node:net";
import { RaftError } from "../errors.js";

export type TcpAddress = { readonly host: string; readonly port: number };

const shape = /^(?:\[([^[\]]*)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/;

/** Port 0 stands for "any free port" and is for listening only. */
export type AddressUse = "listen" | "dial";

/**
 * Reads `host:port` or `[v6]:port`. `field` names the argument in the message of a refusal.
 * Throws RaftError `invalidArgument`.
 */
export function parseAddress(address: string, use: AddressUse, field: string = use): TcpAddress {
  const match = typeof address === "string" ? shape.exec(address) : null;
  if (match === null) {
    throw refused(field, address, 'must look like "host:port", or "[::1]:port" for IPv6');
  }
  const [, v6, name, digits] = match;
  if (v6 !== undefined && !isIPv6(v6)) {
    throw refused(field, address, `has no IPv6 address between its brackets`);
  }
  const port = Number(digits);
  if (port > 65535) throw refused(field, address, "has a port above 65535");
  if (port === 0 && use === "dial") {
    throw refused(field, address, "has port 0, which is for listening only");
  }
  return { host: v6 ?? name!, port };
}

/** The inverse of `parseAddress`. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function refused(field: string, address: unknown, why: string): RaftError {
  return new RaftError("invalidArgument", `${field}: ${JSON.stringify(address)} ${why}`);
}
