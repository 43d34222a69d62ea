/** Runs etcd with the arguments that it is given, and ends it when whoever started this is gone. */
import { spawn } from "node:child_process";

const args = process.argv.slice(2);
const etcd = spawn("etcd", args, { stdio: ["ignore", "ignore", "pipe"] });
const tailBytes = 2000;
let said = "";
let ending = false;

etcd.stderr.setEncoding("utf8");
etcd.stderr.on("data", (text: string) => (said = (said + text).slice(-tailBytes)));
etcd.on("error", (error) => process.send?.({ type: "error", error: error.message }));
etcd.on("exit", (code, signal) => {
  if (ending) process.exit(0);
  console.error(`etcd ended (${code ?? signal}): ${said}`);
  process.exit(1);
});
process.on("disconnect", () => {
  ending = true;
  etcd.kill("SIGKILL");
});
const address = args[args.indexOf("--listen-client-urls") + 1]!.replace("http://", "");
process.send?.({ type: "ready", address });
