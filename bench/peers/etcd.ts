/** etcd as its package installs it: three processes on loopback with their default settings, fsync on. */
import { spawnSync } from "node:child_process";
import { startWorker } from "../processes.js";
import { discard, scratch, type System } from "../systems.js";
import { freePorts, startHttpPeer } from "./http-peer.js";

/** Null, and a line that says so, where there is no etcd. */
export async function startEtcd(): Promise<System | null> {
  const found = spawnSync("etcd", ["--version"], { encoding: "utf8" });
  if (found.status !== 0) {
    console.log("etcd is not installed and is left out; Debian: apt-get install etcd-server");
    return null;
  }
  const version = /etcd Version: (\S+)/.exec(found.stdout)?.[1] ?? "of unknown version";
  const dir = (await scratch(true))!;
  const ports = await freePorts(6);
  const url = (port: number): string => `http://127.0.0.1:${port}`;
  const peers = [0, 1, 2].map((at) => url(ports[3 + at]!));
  const cluster = peers.map((peer, at) => `etcd${at}=${peer}`).join(",");
  const members = await Promise.all(
    peers.map((peer, at) =>
      startWorker("./peers/etcd-process.js", [
        ...["--name", `etcd${at}`, "--data-dir", `${dir}/etcd${at}`],
        ...["--listen-client-urls", url(ports[at]!), "--advertise-client-urls", url(ports[at]!)],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", cluster, "--initial-cluster-state", "new"],
        ...["--logger", "zap", "--log-level", "error"],
      ]),
    ),
  );
  return startHttpPeer(`etcd ${version}`, members, () => discard(dir));
}
