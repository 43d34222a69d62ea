/** `--tls-*`: certificates and keys come from files, and any of the options means TLS. */
import { readFileSync } from "node:fs";
import { messageOf } from "../errors.js";
import type { TlsOptions } from "../transport/tls-options.js";
import { type OptionSpec, optionalText, UsageError, type VerbInput } from "./usage.js";

export const tlsOptions: Readonly<Record<string, OptionSpec>> = Object.freeze({
  "tls-ca": { value: "FILE", help: "TLS: who signs the others' certificates, PEM" },
  "tls-cert": { value: "FILE", help: "TLS: the certificate to show, PEM" },
  "tls-key": { value: "FILE", help: "TLS: the private key of --tls-cert, PEM" },
  "tls-server-name": { value: "NAME", help: "TLS: what the others' certificates say, if not HOST" },
});

/** Null: none of them was given. */
export function tlsOf(input: VerbInput): TlsOptions | null {
  const ca = pemOf(input, "tls-ca");
  const cert = pemOf(input, "tls-cert");
  const key = pemOf(input, "tls-key");
  const serverName = optionalText(input, "tls-server-name");
  if ((cert === null) !== (key === null)) {
    throw new UsageError("--tls-cert and --tls-key go together; one of them is missing");
  }
  if (ca === null && cert === null && serverName === null) return null;
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null || key === null ? {} : { cert, key }),
    ...(serverName === null ? {} : { serverName }),
  };
}

function pemOf(input: VerbInput, option: string): string | null {
  const path = optionalText(input, option);
  if (path === null) return null;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const why = messageOf(error);
    throw new UsageError(`--${option} ${path} cannot be read: ${why}`);
  }
}
