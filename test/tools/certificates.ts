/**
 * Certificates for tests, made on the spot: an authority and what it signs. Just enough of X.509
 * (RFC 5280) in DER: version 3, P-256 keys, ECDSA with SHA-256. For tests only.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";

export type Certified = { readonly key: string; readonly cert: string };

export type Authority = Certified & {
  /** A key and certificate for a host that is reached as 127.0.0.1, ::1 or `name`. */
  issue(name: string): Certified;
};

function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), body]);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) digits.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length, ...digits]), body]);
}

const sequence = (...contents: Uint8Array[]): Buffer => der(0x30, ...contents);
const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");

const ecdsaWithSha256 = sequence(bytes("06082a8648ce3d040302"));
const commonName = bytes("0603550403");
const basicConstraints = bytes("0603551d13");
const subjectAltName = bytes("0603551d11");
const yes = bytes("0101ff");

function nameOf(text: string): Buffer {
  return sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from(text)))));
}

function extension(oid: Buffer, content: Buffer, critical: boolean): Buffer {
  return sequence(oid, ...(critical ? [yes] : []), der(0x04, content));
}

/** A hundred years, so that no test grows old. */
const validity = sequence(
  der(0x17, Buffer.from("200101000000Z")),
  der(0x18, Buffer.from("21200101000000Z")),
);

function alternativeNames(name: string): Buffer {
  return extension(
    subjectAltName,
    sequence(
      der(0x82, Buffer.from(name)),
      der(0x87, Buffer.from([127, 0, 0, 1])),
      der(0x87, Buffer.from([...new Uint8Array(15), 1])),
    ),
    false,
  );
}

function certify(subject: string, issuer: string, issuerKey: string | null): Certified {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = pair.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const isAuthority = issuerKey === null;
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    nameOf(issuer),
    validity,
    nameOf(subject),
    pair.publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        isAuthority ? extension(basicConstraints, sequence(yes), true) : alternativeNames(subject),
      ),
    ),
  );
  const signature = sign("sha256", content, createPrivateKey(issuerKey ?? key));
  const whole = sequence(content, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature));
  // No empty line behind the last one: then nothing is read, and Node does not mind.
  const lines = whole
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n");
  return { key, cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n` };
}

export function makeAuthority(name = "test authority"): Authority {
  const own = certify(name, name, null);
  return { ...own, issue: (subject) => certify(subject, name, own.key) };
}
