/**
 * `node scripts/run.mjs FILE.js [ARGS]`: compiles what has changed, then runs build/FILE.js with the
 * arguments, as `npm run sim -- --seed 42` does.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { buildProject, compile, root } from "./compile.mjs";

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write(
    "usage: node scripts/run.mjs FILE.js [ARGS], FILE as it lies below build/\n",
  );
  process.exit(2);
}
const compiled = await compile(buildProject);
if (!compiled.ok) {
  process.stderr.write(compiled.output);
  process.stderr.write("run: the sources do not compile, see above\n");
  process.exit(1);
}
const path = join(root, "build", file);
if (!existsSync(path)) {
  process.stderr.write(`run: there is no ${file.replace(/\.js$/, ".ts")} to run\n`);
  process.exit(1);
}
const child = spawn(process.execPath, ["--enable-source-maps", path, ...args], {
  cwd: root,
  stdio: "inherit",
});
// The child gets the terminal's Ctrl-C itself; what is sent to this process alone is passed on.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("error", (error) => {
  process.stderr.write(`run: ${error.message}\n`);
  process.exit(1);
});
child.on("close", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.stderr.write(`run: ${file} was ended by ${signal}\n`);
  process.exit(1);
});
