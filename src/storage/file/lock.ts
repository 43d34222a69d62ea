/**
 * One process at a time per directory (hazard 84).
 *
 * Node has no flock. A file with a process id outlives its process and is judged by guessing (ids
 * are reused, and mean nothing in another container); a socket is let go by the kernel in the very
 * moment in which its process dies, so there is no stale lock to take over and no race about it.
 * - Linux: a socket in the abstract namespace, named after device and inode of the directory:
 *   binding it is atomic and leaves no file behind.
 * - As well, a socket `lock` in the directory itself: it is found from other network namespaces
 *   (containers that share a volume), which do not share abstract names. It is stale exactly when
 *   nobody answers there.
 * - Replacing a stale one takes several steps, for which one claims the right: with a socket under a
 *   name of its own, before one looks for those of others.
 * - Elsewhere the socket in the directory for temporary files, or a named pipe, stands alone.
 * The holder tells whoever connects who it is.
 */
import { randomBytes } from "node:crypto";
import * as nodeFs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname } from "node:path";
import { RaftError } from "../../errors.js";
import { isDiskFull, storageError, systemCode } from "./failure.js";
import { temporarySuffix } from "./names.js";

export type LockHolder = { readonly hostId: string };

export interface Lock {
  release(): Promise<void>;
}

/** A holder that does not speak (it may be stopped) is a holder all the same. */
const answerPatienceMs = 500;

type Bound = { readonly server: net.Server; readonly sockets: Set<net.Socket> };

function bind(path: string, greeting: string): Promise<Bound> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.unref();
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
      socket.end(greeting);
    });
    server.unref();
    server.once("error", reject);
    // `exclusive`: workers of node:cluster would otherwise share one and the same socket.
    server.listen({ path, exclusive: true }, () => {
      server.removeListener("error", reject);
      server.on("error", () => undefined);
      resolve({ server, sockets });
    });
  });
}

function release(bound: Bound): Promise<void> {
  for (const socket of bound.sockets) socket.destroy();
  return new Promise((resolve) => bound.server.close(() => resolve()));
}

/** This process can make no socket: that says nothing about the other side, and passes. */
function isOwnLack(code: string): boolean {
  return ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"].includes(code);
}

/** What the holder says of itself; "" if it holds but does not speak; null if nobody is there. */
export function askHolder(path: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    let heard = "";
    let connected = false;
    const socket = net.connect({ path });
    socket.setEncoding("utf8");
    socket.setTimeout(answerPatienceMs, () => socket.destroy());
    socket.on("connect", () => {
      connected = true;
    });
    socket.on("data", (text: string) => {
      heard += text;
    });
    socket.on("error", (error) => {
      const code = systemCode(error);
      if (isOwnLack(code)) reject(error);
      connected ||= code !== "ECONNREFUSED" && code !== "ENOENT" && code !== "ENOTSOCK";
    });
    socket.on("close", () => resolve(connected ? heard.trim() : null));
  });
}

function refuse(directory: string, holder: string): never {
  const who = holder === "" ? "another process" : holder;
  throw new RaftError(
    "storageLocked",
    `${directory} is in use by ${who}: stop it first, or give this host a directory of its own`,
  );
}

type Paths = { readonly atomic: string | null; readonly inDirectory: string | null };

/** Where the sockets of a directory are. `fd` keeps a path short that could exceed a socket's 107 bytes. */
function pathsOf(directory: string, fd: number | null): Paths {
  const { dev, ino } = nodeFs.statSync(directory, { bigint: true });
  const name = `rafted-value-${dev.toString(36)}-${ino.toString(36)}`;
  if (process.platform === "linux") {
    return { atomic: `\0${name}`, inDirectory: fd === null ? null : `/proc/self/fd/${fd}/lock` };
  }
  if (process.platform === "win32") return { atomic: `\\\\.\\pipe\\${name}`, inDirectory: null };
  return { atomic: null, inDirectory: `${tmpdir()}/${name}.sock` };
}

/** Null: this platform has no such sockets (Node before 20.4); the other lock has to do. */
async function bindAtomic(
  directory: string,
  path: string,
  greeting: string,
): Promise<Bound | null> {
  try {
    return await bind(path, greeting);
  } catch (error) {
    if (systemCode(error) !== "EADDRINUSE") return null;
    return refuse(directory, (await askHolder(path)) ?? "");
  }
}

/**
 * Null: the file system has no sockets; the other lock has to do.
 *
 * Between seeing that nobody answers and taking the socket's place, another process may have taken it,
 * whose socket would be removed. So that is done by one at a time, whose claim answers meanwhile. Everybody
 * claims before looking for other claims: of any two, one sees the other.
 */
export async function bindInDirectory(
  directory: string,
  path: string,
  greeting: string,
): Promise<Bound | null> {
  await refuseIfHeld(directory, path);
  const claimPath = `${path}-${randomBytes(4).toString("hex")}${temporarySuffix}`;
  let claim: Bound;
  try {
    claim = await bind(claimPath, greeting);
  } catch (error) {
    return withoutSockets(error);
  }
  try {
    const dead = await outlastClaims(directory, path, claimPath);
    // One that did not answer yet, as it was being bound, may have been removed with the dead ones.
    if (!nodeFs.existsSync(claimPath)) return refuse(directory, "");
    for (const other of dead) nodeFs.rmSync(other, { force: true });
    return await replaceStale(directory, path, greeting);
  } finally {
    await release(claim);
  }
}

async function refuseIfHeld(directory: string, path: string): Promise<void> {
  const holder = await askHolder(path);
  if (holder !== null) refuse(directory, holder);
}

/** Resolves when no other claim answers; gives those that killed processes have left. */
async function outlastClaims(
  directory: string,
  path: string,
  claimPath: string,
): Promise<readonly string[]> {
  const dead: string[] = [];
  const start = `${basename(path)}-`;
  for (const name of nodeFs.readdirSync(dirname(path))) {
    const other = `${dirname(path)}/${name}`;
    const isClaim = name.startsWith(start) && name.endsWith(temporarySuffix);
    if (!isClaim || other === claimPath) continue;
    const holder = await askHolder(other);
    if (holder === null) dead.push(other);
    // Of two that see each other, the lesser name stays; the other may also be further, and soon done.
    else if (other < claimPath || !(await isGoneSoon(other))) refuse(directory, holder);
  }
  return dead;
}

async function isGoneSoon(path: string): Promise<boolean> {
  const sinceMs = performance.now();
  while ((await askHolder(path)) !== null) {
    if (performance.now() - sinceMs > answerPatienceMs) return false;
  }
  return true;
}

/** For who has claimed it. */
async function replaceStale(
  directory: string,
  path: string,
  greeting: string,
): Promise<Bound | null> {
  await refuseIfHeld(directory, path);
  nodeFs.rmSync(path, { force: true });
  try {
    return await bind(path, greeting);
  } catch (error) {
    if (systemCode(error) === "EADDRINUSE") return refuse(directory, "");
    return withoutSockets(error);
  }
}

/** A full disk has room again one day, as has the process: whoever comes then would find nobody in the directory. */
function withoutSockets(error: unknown): null {
  if (isDiskFull(error) || isOwnLack(systemCode(error))) throw error;
  return null;
}

function openFor(directory: string): number | null {
  try {
    return process.platform === "linux" ? nodeFs.openSync(directory, "r") : null;
  } catch (error) {
    throw storageError(error, `locking ${directory}`);
  }
}

/** Locks `directory`, which must exist. Rejects with `storageLocked`, `diskFull` or `storageFailed`. */
export async function lockDirectory(directory: string, holder: LockHolder): Promise<Lock> {
  const greeting = `host "${holder.hostId}" (process ${process.pid})`;
  const fd = openFor(directory);
  const held: Bound[] = [];
  let released = false;
  const lock: Lock = {
    release: async () => {
      if (released) return;
      released = true;
      // The atomic one last: whoever gets it finds the directory without the other one.
      for (const bound of held.reverse()) await release(bound);
      if (fd !== null) nodeFs.closeSync(fd);
    },
  };
  try {
    const { atomic, inDirectory } = pathsOf(directory, fd);
    const hold = (bound: Bound | null): void => {
      if (bound !== null) held.push(bound);
    };
    if (atomic !== null) hold(await bindAtomic(directory, atomic, greeting));
    if (inDirectory !== null) hold(await bindInDirectory(directory, inDirectory, greeting));
    if (held.length === 0) throw new Error("no socket can be bound to lock it");
    return lock;
  } catch (error) {
    await lock.release();
    throw storageError(error, `locking ${directory}`);
  }
}

/** Who holds the directory now, or null. Touches nothing. */
export async function lockHolderOf(directory: string): Promise<string | null> {
  const fd = openFor(directory);
  try {
    const { atomic, inDirectory } = pathsOf(directory, fd);
    for (const path of [atomic, inDirectory]) {
      const holder = path === null ? null : await askHolder(path);
      if (holder !== null) return holder === "" ? "another process" : holder;
    }
    return null;
  } finally {
    if (fd !== null) nodeFs.closeSync(fd);
  }
}
