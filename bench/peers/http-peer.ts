/** What etcd and antietcd have in common: ports given beforehand, a leader to be found, puts over HTTP. */
import { createServer, type Server } from "node:net";
import { LoadClient } from "../load-process.js";
import { endWorkers, type Worker } from "../processes.js";
import type { System } from "../systems.js";
import type { PutTarget } from "./http-client.js";

const patienceMs = 30_000;
const pauseMs = 100;

/** Ports of loopback that nobody listens on at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<Server>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

type Status = { readonly header?: { readonly member_id?: string }; readonly leader?: string };

/** The member that says of itself that it leads, once there is one. */
async function findLeader(addresses: readonly string[]): Promise<string> {
  const until = performance.now() + patienceMs;
  while (performance.now() < until) {
    for (const address of addresses) {
      const status = await statusOf(address);
      const self = status?.header?.member_id;
      if (self !== undefined && self !== "0" && status?.leader === self) return address;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new Error(`none of ${addresses.join(", ")} leads after ${patienceMs} ms`);
}

async function statusOf(address: string): Promise<Status | null> {
  try {
    const headers = { "content-type": "application/json" };
    const url = `http://${address}/v3/maintenance/status`;
    const response = await fetch(url, { method: "POST", headers, body: "{}" });
    return response.ok ? ((await response.json()) as Status) : null;
  } catch {
    // It is still starting; whether it ever does, `findLeader` finds out.
    return null;
  }
}

export async function startHttpPeer(
  name: string,
  members: readonly Worker[],
  discardData: () => Promise<void>,
): Promise<System> {
  const client = new LoadClient<PutTarget>("./peers/http-client.js");
  const stop = async (): Promise<void> => {
    await client.stop();
    await endWorkers(members);
    await discardData();
  };
  try {
    const address = await findLeader(members.map((member) => member.address));
    return { name, run: (load) => client.run({ address }, load), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
