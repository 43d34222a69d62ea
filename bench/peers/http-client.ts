/**
 * The client process for peers that speak etcd's JSON over HTTP: puts through Node's own HTTP client,
 * kept alive, one socket for each outstanding call up to 256. The leader is asked directly.
 */
import { Agent, request } from "node:http";
import { serveLoads } from "../load-process.js";

/** `host:port` of the leader. */
export type PutTarget = { readonly address: string };

const mostSockets = 256;
const mostTries = 20;
const pauseMs = 50;

serveLoads(async (target: PutTarget) => {
  const [host, port] = target.address.split(":");
  const agent = new Agent({ keepAlive: true, maxSockets: mostSockets, noDelay: true });
  const put = (body: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": body.length };
      const options = { host, port, path: "/v3/kv/put", method: "POST", agent, headers };
      const sent = request(options, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode!));
        response.on("error", reject);
      });
      sent.on("error", reject);
      sent.end(body);
    });
  const call = async (body: Buffer): Promise<void> => {
    for (let tries = 1; ; tries++) {
      const status = await put(body);
      if (status === 200) return;
      // 503: refused for the moment, and to be tried again, as its clients do. The call pays for it.
      if (status !== 503 || tries === mostTries) throw new Error(`put was answered by ${status}`);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await call(bodyOf(0));
  return ({ outstanding }) => {
    const bodies = Array.from({ length: outstanding }, (_, slot) => bodyOf(slot));
    let next = 0;
    return () => call(bodies[next++ % outstanding]!);
  };
});

function bodyOf(slot: number): Buffer {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return Buffer.from(JSON.stringify({ key: base64(`key-${slot}`), value: base64("1") }));
}
