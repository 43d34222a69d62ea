/**
 * `npm run nightly [-- --hours H]`: what is too long for `npm test`. Fresh seeds in the simulator for most of
 * the time (default 6 hours), the explorer, the seeded bugs, chaos on real processes, all tests on other versions
 * of Node. Every part runs whatever became of the others; the exit code is 0 only if none of them found anything.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./compile.mjs";

const args = process.argv.slice(2);
const hours = args.length === 0 ? 6 : args[0] === "--hours" ? Number(args[1]) : NaN;
if (!(hours > 0)) {
  process.stderr.write("usage: npm run nightly [-- --hours H], H a number above 0\n");
  process.exit(2);
}

const simMinutes = Math.max(1, Math.round(hours * 60 * 0.6));
const chaosMinutes = Math.max(1, Math.round(hours * 60 * 0.2));
const parts = [
  ["run.mjs", "src/sim/main.js", "--minutes", String(simMinutes)],
  ["run.mjs", "src/sim/explore-main.js"],
  ["run.mjs", "test/mutants/main.js"],
  ["run.mjs", "test/chaos/main.js", "--minutes", String(chaosMinutes)],
  ["versions.mjs"],
];

function runPart([script, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, "scripts", script), ...args], {
      cwd: root,
      stdio: "inherit",
    });
    child.on("error", () => resolve(1));
    child.on("close", (code) => resolve(code ?? 1));
  });
}

const results = [];
for (const part of parts) {
  process.stdout.write(`\n== ${part.join(" ")}\n`);
  const startedMs = Date.now();
  const code = await runPart(part);
  results.push({ part: part.join(" "), code, minutes: (Date.now() - startedMs) / 60_000 });
}
process.stdout.write("\n");
for (const { part, code, minutes } of results) {
  const verdict = code === 0 ? "nothing found" : `exit code ${code}`;
  process.stdout.write(`${verdict.padEnd(14)} ${part} (${minutes.toFixed(1)} min)\n`);
}
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;
