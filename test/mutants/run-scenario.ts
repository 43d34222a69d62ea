/** `node run-scenario.js NAME`: exit code 1, and the first line that differs, if it prints something else. */
import { readFileSync } from "node:fs";
import { rewriteScenario } from "../core/scenario/run.js";

const text = readFileSync(`test/scenarios/${process.argv[2]}.txt`, "utf8");
const now = rewriteScenario(text);
if (now !== text) {
  const expected = text.split("\n");
  const at = now.split("\n").findIndex((line, index) => line !== expected[index]);
  const line = now.split("\n")[at] ?? "";
  process.stdout.write(`line ${at + 1} is now: ${line.trim()}\n`);
  process.exitCode = 1;
}
