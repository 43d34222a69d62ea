/** Mutual TLS: who dials and who listens show each other a certificate. */
import type { SecureContextOptions, TlsOptions as NodeTls } from "node:tls";
import { messageOf, isOptions, RaftError, show, unknownName } from "../errors.js";
import { nodeTls } from "./node-tls.js";
import type { TcpLimits } from "./tcp-limits.js";

type Pem = string | Uint8Array;

export type TlsOptions = {
  /** Private key, PEM. Needed to listen, and to dial a port that asks for certificates. */
  readonly key?: Pem | undefined;
  /** Certificate (chain) of that key, PEM. */
  readonly cert?: Pem | undefined;
  /** Who signs the other side's certificate, PEM. Default: the authorities that Node knows. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** Listening: refuse clients without a certificate signed by `ca`. Default true. */
  readonly requestCert?: boolean | undefined;
  /** Dialling: the name that the other side's certificate must bear. Default: the host dialled. */
  readonly serverName?: string | undefined;
};

/**
 * Throws RaftError `invalidArgument`, which names the field, for what is no `TlsOptions`, and if a key
 * or certificate does not load.
 */
export function verifyTls(tls: TlsOptions): void {
  checkFields(tls);
  if ((tls.key === undefined) !== (tls.cert === undefined)) {
    throw new RaftError("invalidArgument", "tls: key and cert go together");
  }
  try {
    nodeTls().createSecureContext(contextOf(tls));
    if (tls.ca !== undefined) pems(tls.ca).forEach(checkAuthorities);
  } catch (error) {
    const why = messageOf(error);
    throw new RaftError("invalidArgument", `tls: key, cert or ca does not load: ${why}`, {
      cause: error,
    });
  }
}

type Check = readonly [isRight: (given: unknown) => boolean, expected: string];

const onePem: Check = [isPem, "must be a text in PEM, or its bytes"];

const checks: Readonly<Record<keyof TlsOptions, Check>> = Object.freeze({
  key: onePem,
  cert: onePem,
  ca: [
    // With an empty one nobody would be trusted, with an empty text everybody (`checkAuthorities`).
    (given) => isPem(given) || (Array.isArray(given) && given.length > 0 && given.every(isPem)),
    "must be a text in PEM, or its bytes, or an array of such, not empty",
  ],
  requestCert: [(given) => typeof given === "boolean", "must be true or false"],
  serverName: [(given) => typeof given === "string", 'must be a name such as "foo.example"'],
} satisfies Record<keyof TlsOptions, Check>);

/** A misspelt `ca` would be as good as none: then every authority that Node knows is trusted. */
function checkFields(tls: unknown): void {
  if (!isOptions(tls)) {
    throw refused("tls", `must be an object such as { key, cert, ca }, got ${show(tls)}`);
  }
  const names = Object.keys(checks);
  const strange = unknownName(tls, names);
  if (strange !== undefined) {
    throw refused(`tls.${strange}`, `is no option; there are ${names.join(", ")}`);
  }
  for (const [name, given] of Object.entries(tls)) {
    const [isRight, expected] = checks[name as keyof TlsOptions];
    if (given !== undefined && !isRight(given)) {
      throw refused(`tls.${name}`, `${expected}, got ${show(given)}`);
    }
  }
}

function isPem(given: unknown): boolean {
  return typeof given === "string" || ArrayBuffer.isView(given);
}

function refused(field: string, problem: string): RaftError {
  return new RaftError("invalidArgument", `${field} ${problem}`);
}

function contextOf(tls: TlsOptions): SecureContextOptions {
  const { key, cert, ca } = tls;
  return {
    minVersion: "TLSv1.2",
    ...(key === undefined ? {} : { key: pem(key) }),
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(ca === undefined ? {} : { ca: pems(ca) }),
  };
}

/**
 * Throws for what Node takes without a word: it leaves out of `ca` what it cannot read, such as the path of a file,
 * and for an empty text it trusts every authority that it knows.
 */
function checkAuthorities(bundle: string | Buffer): void {
  const blocks = bundle.toString("latin1").split(/(?=-----BEGIN )/);
  const certificates = blocks.filter((block) => /^-----BEGIN (\w+ )?CERTIFICATE-----/.test(block));
  if (certificates.length === 0) throw new Error("ca holds no certificate");
  for (const cert of certificates) nodeTls().createSecureContext({ cert });
}

function pem(given: Pem): string | Buffer {
  return typeof given === "string" ? given : Buffer.from(given);
}

function pems(given: Pem | readonly Pem[]): (string | Buffer)[] {
  return typeof given === "string" || given instanceof Uint8Array
    ? [pem(given)]
    : given.map((one) => pem(one));
}

export function clientTls(tls: TlsOptions): SecureContextOptions & { servername?: string } {
  const context = contextOf(tls);
  return tls.serverName === undefined ? context : { ...context, servername: tls.serverName };
}

export function serverTls(tls: TlsOptions, limits: TcpLimits): NodeTls {
  const asked = tls.requestCert ?? true;
  return {
    ...contextOf(tls),
    requestCert: asked,
    rejectUnauthorized: asked,
    handshakeTimeout: limits.handshakeTimeoutMs,
  };
}
