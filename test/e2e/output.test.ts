/** Output that cannot be written: no reader, or no room. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { describe, test } from "node:test";
import { mainPath, runCli } from "./processes.js";

const full = "/dev/full";
const skip = existsSync(full) ? false : "there is no /dev/full here";
const start = ["start", "--id", "foo", "--listen", "127.0.0.1:0", "--group", "q"];

/** A stranger at the port is something to warn of. */
async function provoke(ready: string): Promise<void> {
  const port = /:(\d+)\n/.exec(ready)?.[1];
  assert.ok(port !== undefined, ready);
  const socket = connect(Number(port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  socket.write("GET / HTTP/1.0\r\n\r\n");
  await once(socket, "close");
}

async function servesOnWithout(stderr: "pipe" | number): Promise<void> {
  const child = spawn(process.execPath, [mainPath, ...start, "--value", "queue"], {
    stdio: ["ignore", "pipe", stderr],
  });
  const exited = once(child, "exit");
  child.stderr?.destroy();
  const [ready] = (await once(child.stdout!, "data")) as [Buffer];
  await provoke(String(ready));
  const still = await Promise.race([exited, pause(300, "serves")]);
  child.kill("SIGTERM");
  assert.equal(still, "serves");
  assert.deepEqual(await exited, [0, null]);
}

describe("a member serves on", () => {
  test("when nobody reads its log any more", () => servesOnWithout("pipe"));

  test("when its log has no room any more", { skip }, async (t) => {
    const file = openSync(full, "w");
    t.after(() => closeSync(file));
    await servesOnWithout(file);
  });
});

test("output for which there is no room is a failure, told in one line", { skip }, async (t) => {
  const file = openSync(full, "w");
  t.after(() => closeSync(file));
  const child = spawn(process.execPath, [mainPath, "help"], { stdio: ["ignore", file, "pipe"] });
  let said = "";
  child.stderr!.on("data", (chunk) => (said += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  assert.match(said, /^rafted-value: [^\n]*stdout cannot be written: [^\n]*ENOSPC[^\n]*\n$/);
  assert.equal(code, 1);
});

test("a reader that has read enough is no failure", async () => {
  const child = spawn(process.execPath, [mainPath, "help"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let said = "";
  child.stderr.on("data", (chunk) => (said += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  assert.deepEqual({ code, said }, { code: 0, said: "" });
  assert.equal((await runCli(["help"])).code, 0);
});
