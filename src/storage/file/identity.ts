/**
 * The file `identity`: whose directory this is. One line of JSON, one line with its CRC-32 in
 * hexadecimal. Written once, by temporary file and rename.
 */
import { randomBytes } from "node:crypto";
import { textOf, utf8 } from "../../codec/bytes.js";
import { RaftError } from "../../errors.js";
import { checksum } from "./checksum.js";
import { isMissing } from "./failure.js";
import type { FileSystem } from "./fs.js";
import {
  formatVersion,
  identityName,
  isOwnName,
  lockName,
  markName,
  segmentOf,
  temporarySuffix,
  unfinishedName,
} from "./names.js";

export type Identity = {
  readonly format: number;
  readonly hostId: string;
  /** Random, 16 bytes: files of another directory are told apart by it. */
  readonly directoryId: Uint8Array;
};

const program = "rafted-value";
/** Nobody's identity is longer: a file that is, is somebody else's. */
const maxBytes = 65_536;

export function newIdentity(hostId: string): Identity {
  return { format: formatVersion, hostId, directoryId: new Uint8Array(randomBytes(16)) };
}

function encode(identity: Identity): Uint8Array {
  const directoryId = Buffer.from(identity.directoryId).toString("hex");
  const json = JSON.stringify({
    program,
    format: identity.format,
    hostId: identity.hostId,
    directoryId,
  });
  return utf8(`${json}\n${checksum(utf8(json)).toString(16).padStart(8, "0")}\n`);
}

function decode(bytes: Uint8Array): Identity | null {
  try {
    const [json, check, rest] = textOf(bytes, identityName).split("\n");
    if (json === undefined || rest !== "" || parseInt(check ?? "", 16) !== checksum(utf8(json))) {
      return null;
    }
    const fields = JSON.parse(json) as Record<string, unknown>;
    const { format, hostId, directoryId } = fields;
    if (fields.program !== program || typeof format !== "number") return null;
    if (typeof hostId !== "string" || typeof directoryId !== "string") return null;
    return { format, hostId, directoryId: new Uint8Array(Buffer.from(directoryId, "hex")) };
  } catch {
    return null;
  }
}

export async function writeIdentity(
  fs: FileSystem,
  dir: string,
  identity: Identity,
): Promise<void> {
  const temporary = `${dir}/${identityName}${temporarySuffix}`;
  await fs.remove(temporary).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  const file = await fs.open(temporary, "create");
  try {
    await file.write(0, [encode(identity)]);
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.rename(temporary, `${dir}/${identityName}`);
  await fs.syncDirectory(dir);
}

export type FoundIdentity =
  | { readonly type: "found"; readonly identity: Identity }
  /** Nothing is stored here yet. */
  | { readonly type: "empty" }
  /** Files of ours without an intact identity. */
  | { readonly type: "damaged"; readonly message: string }
  | { readonly type: "foreign"; readonly message: string };

/** Reads without judging whose it should be. Touches nothing. */
export async function readIdentity(
  fs: FileSystem,
  dir: string,
  names: readonly string[],
): Promise<FoundIdentity> {
  if (!names.includes(identityName)) return withoutIdentity(dir, names);
  const file = await fs.open(`${dir}/${identityName}`, "read");
  let bytes: Uint8Array;
  try {
    bytes = await file.read(0, maxBytes);
  } finally {
    await file.close();
  }
  const identity = decode(bytes);
  if (identity !== null) return { type: "found", identity };
  if (!names.some((name) => name === markName || segmentOf(name) !== null)) {
    return { type: "foreign", message: `${dir}/${identityName} is no file of ours` };
  }
  return { type: "damaged", message: `${dir}/${identityName} does not match its checksum` };
}

function withoutIdentity(dir: string, names: readonly string[]): FoundIdentity {
  const rest = names.filter((name) => name !== lockName && !name.endsWith(temporarySuffix));
  if (rest.length === 0) return { type: "empty" };
  const foreign = rest.filter((name) => !isOwnName(name));
  if (foreign.length === 1 && foreign[0] === unfinishedName) {
    const message = `${dir} holds no more than what an interrupted restore or recover has left (${unfinishedName})`;
    return { type: "foreign", message };
  }
  if (foreign.length > 0) {
    return { type: "foreign", message: `${dir} holds files of something else (${foreign[0]!})` };
  }
  return { type: "damaged", message: `${dir} has a log but the file ${identityName} is gone` };
}

/** Throws `storageMismatch` or `storageCorrupt` unless the directory is `hostId`'s. */
export function checkIdentity(found: FoundIdentity, dir: string, hostId: string): Identity | null {
  switch (found.type) {
    case "empty":
      return null;
    case "foreign":
      throw new RaftError(
        "storageMismatch",
        `${found.message}: give this host a directory of its own, empty at first`,
      );
    case "damaged":
      throw new RaftError(
        "storageCorrupt",
        `${found.message}: nothing is served from here; run doctor on it, or start this host with ` +
          "an empty directory, as a new member",
      );
    case "found": {
      const { identity } = found;
      refuseNewer(identity, dir);
      if (identity.hostId !== hostId) {
        throw new RaftError(
          "storageMismatch",
          `${dir} belongs to host "${identity.hostId}", not "${hostId}": ` +
            "start it under its own id, or give this host another directory",
        );
      }
      return identity;
    }
  }
}

/** Throws `storageMismatch` for a format that is not known yet. */
export function refuseNewer({ format }: Identity, dir: string): void {
  if (format <= formatVersion) return;
  const why = `${dir} has format ${format}, this version reads ${formatVersion}`;
  throw new RaftError("storageMismatch", `${why}: upgrade rafted-value`);
}
