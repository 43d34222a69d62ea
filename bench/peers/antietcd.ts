/** antietcd, a small etcd in JavaScript: three processes, in memory, with its default settings. */
import { createRequire } from "node:module";
import { startWorker } from "../processes.js";
import type { System } from "../systems.js";
import { freePorts, startHttpPeer } from "./http-peer.js";

/** Null, and a line that says so, where it is not installed. */
export async function startAntietcd(): Promise<System | null> {
  let version: string;
  try {
    const described: unknown = createRequire(import.meta.url)("antietcd/package.json");
    ({ version } = described as { version: string });
  } catch {
    console.log("antietcd is not installed and is left out; npm ci installs it");
    return null;
  }
  const ports = await freePorts(3);
  const cluster = ports.map((port, at) => `node${at}=http://127.0.0.1:${port}`).join(",");
  const members = await Promise.all(
    ports.map((port, at) =>
      startWorker("./peers/antietcd-process.js", [`node${at}`, String(port), cluster]),
    ),
  );
  return startHttpPeer(`antietcd ${version}`, members, () => Promise.resolve());
}
