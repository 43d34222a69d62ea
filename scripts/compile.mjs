/** What build, test and run share: TypeScript to JavaScript, skipped when nothing has changed. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** What `npm run build` puts into few files: the package's own code. */
export const distProject = {
  tsconfig: "tsconfig.build.json",
  outDir: "build-dist",
  sources: [{ from: "src", to: "" }],
};
/** What tests, bench and simulations run from: everything, beside each other as in the sources. */
export const buildProject = {
  tsconfig: "tsconfig.json",
  outDir: "build",
  sources: ["src", "test", "bench", "examples"].map((folder) => ({ from: folder, to: folder })),
  // Examples import the package by its name; they mean the code beside them, and not what was built last.
  isPackage: true,
};

/** Every file under a folder, as paths relative to the root, sorted; empty when there is no such folder. */
export function filesUnder(folder) {
  const found = [];
  const visit = (path) => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) visit(child);
      else found.push(child);
    }
  };
  if (existsSync(join(root, folder))) visit(folder);
  return found.sort();
}

/** Pairs of a source and the JavaScript file that comes of it. */
function outputsOf(project) {
  return project.sources.flatMap(({ from, to }) =>
    filesUnder(from)
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
      .map((source) => ({
        source,
        output: join(project.outDir, to, relative(from, source)).replace(/\.ts$/, ".js"),
      })),
  );
}

/** Changes with every source, and with what is to be made of them. */
function fingerprint(project, outputs) {
  const hash = createHash("sha256");
  const settings = ["package.json", "package-lock.json", "tsconfig.base.json", project.tsconfig];
  for (const file of [...settings, ...outputs.map(({ source }) => source)]) {
    const stat = statSync(join(root, file));
    hash.update(`${file} ${stat.mtimeMs} ${stat.size}\n`);
  }
  return hash.digest("hex");
}

/** Output of sources that are gone would still be found by imports and by the test runner. */
function removeOrphans(project, outputs) {
  const wanted = new Set(outputs.map(({ output }) => output));
  for (const file of filesUnder(project.outDir)) {
    const made = /(\.js|\.d\.ts|\.js\.map)$/.exec(file);
    if (made === null) continue;
    if (!wanted.has(`${file.slice(0, -made[0].length)}.js`)) rmSync(join(root, file));
  }
}

/** The package's name stands for what was compiled to `outDir`, within it. */
function writePackage({ outDir }) {
  const { name, version, type, exports } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  const own = Object.entries(exports).map(([key, target]) => [
    key,
    (typeof target === "string" ? target : target.default).replace("./dist/", "./src/"),
  ]);
  const text = JSON.stringify({ name, version, type, exports: Object.fromEntries(own) }, null, 2);
  writeFileSync(join(root, outDir, "package.json"), `${text}\n`);
}

/** Runs a program of node_modules and gives its exit code and all that it said. */
export function runTool(script, args, options = {}) {
  const path = join(root, "node_modules", script);
  if (!existsSync(path)) {
    return Promise.resolve({ code: 1, output: `${script} is not installed; run: npm ci\n` });
  }
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path, ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      ...options,
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/**
 * Compiles a project unless its output is newer than all of its sources.
 *
 * Resolves to `{ ok, skipped, output, stamp }`. Code is written in spite of type errors, but then `ok` is false
 * and the next call compiles again. Bookkeeping lives in build/, which git ignores and npm does not pack.
 */
export async function compile(project) {
  const outputs = outputsOf(project);
  const books = join(root, "build", `.${project.outDir}`);
  const stampFile = join(books, "stamp");
  const infoFile = join(books, "tsbuildinfo");
  const stamp = fingerprint(project, outputs);
  const complete = outputs.every(({ output }) => existsSync(join(root, output)));
  const known = existsSync(stampFile) ? readFileSync(stampFile, "utf8") : "";
  if (complete && known === stamp) return { ok: true, skipped: true, output: "", stamp };

  mkdirSync(books, { recursive: true });
  rmSync(stampFile, { force: true });
  if (!complete && known !== "") rmSync(infoFile, { force: true });
  const args = ["-p", project.tsconfig, "--incremental", "--tsBuildInfoFile", infoFile];
  let result = await runTool("typescript/bin/tsc", args);
  if (result.code === 0 && !outputs.every(({ output }) => existsSync(join(root, output)))) {
    // The compiler's notes say that it wrote files which somebody has deleted: let it forget them.
    rmSync(infoFile, { force: true });
    result = await runTool("typescript/bin/tsc", args);
  }
  removeOrphans(project, outputs);
  if (project.isPackage === true) writePackage(project);
  if (result.code === 0) {
    mkdirSync(dirname(stampFile), { recursive: true });
    writeFileSync(stampFile, stamp);
  }
  return { ok: result.code === 0, skipped: false, output: result.output, stamp };
}
