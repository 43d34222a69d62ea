/** One member: `antietcd-process.js NODE_ID PORT CLUSTER`. */
import { createRequire } from "node:module";

/** Its own type declarations name an export that there is not. */
type AntiEtcdClass = new (options: Record<string, unknown>) => { start(): Promise<void> };

// Each dials the others before they listen, and says so.
const complain = console.error;
console.error = (...words: unknown[]): void => {
  if (!String(words[0]).includes("ECONNREFUSED")) complain(...words);
};

const AntiEtcd = createRequire(import.meta.url)("antietcd") as AntiEtcdClass;
const [nodeId, port, cluster] = process.argv.slice(2);
const member = new AntiEtcd({
  ...{ node_id: nodeId, cluster, cluster_key: "bench" },
  ...{ ip: "127.0.0.1", port: Number(port) },
});
process.on("disconnect", () => process.exit(0));
await member.start();
process.send?.({ type: "ready", address: `127.0.0.1:${port}` });
