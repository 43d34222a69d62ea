/**
 * `npm run build`: src/ to dist/. Types lie there file by file, and so does the command line; all other
 * code is in few files, because what an import costs is the number of its modules (decision 22).
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, isAbsolute, join, posix } from "node:path";
import { rollup } from "@rollup/wasm-node";
import { compile, distProject, filesUnder, root } from "./compile.mjs";

const compiledTo = distProject.outDir;
const dist = join(root, "dist");
/** Put in its place when it is whole; as deep as it, because source maps hold relative paths. */
const fresh = join(root, "build-dist-new");
const bundledFile = join(root, compiledTo, ".bundled");
const program = "cli/main.js";
/** In this order: whoever imports both finds the first one there already. */
const mainChunks = {
  client: ["client/index.js"],
  host: ["index.js"],
  // Loaded by whoever opens a directory.
  disk: ["storage/file/parts.js", "storage/file/tools.js"],
};

/** Compiled files as they will lie below dist/. */
function compiledFiles() {
  return filesUnder(compiledTo)
    .map((file) => file.slice(compiledTo.length + 1).replaceAll("\\", "/"))
    .filter((file) => !file.startsWith("."));
}

/** What package.json exports, and what the command line takes from beyond its folder. */
function entryPoints(files) {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const entries = new Set(
    Object.values(exports)
      .filter((entry) => typeof entry !== "string") // package.json itself
      .map(({ default: path }) => posix.relative("dist", path)),
  );
  for (const file of files.filter((each) => /^cli\/.*\.js$/.test(each))) {
    const code = readFileSync(join(root, compiledTo, file), "utf8");
    for (const [, specifier] of code.matchAll(/^(?:import|export) [^;]*?from "(\.[^"]+)";/gm)) {
      const target = posix.join(posix.dirname(file), specifier);
      if (!target.startsWith("cli/")) entries.add(target);
    }
  }
  return [...entries].sort();
}

/** Code that asks where it lies would hear of a chunk. */
function refuseWhereabouts(files) {
  const asking = files.filter((file) => {
    if (!file.endsWith(".js") || file.startsWith("cli/")) return false;
    return readFileSync(join(root, compiledTo, file), "utf8").includes("import.meta");
  });
  if (asking.length === 0) return;
  process.stderr.write(`build: import.meta is for src/cli only: ${asking.join(", ")}\n`);
  process.exit(1);
}

/** Modules that importing an entry point brings with it. */
function reachedFrom(entry, getModuleInfo) {
  const reached = new Set();
  const waiting = [entry];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const info = getModuleInfo(id);
    if (reached.has(id) || info === null || info.isExternal) continue;
    reached.add(id);
    waiting.push(...info.importedIds);
  }
  return reached;
}

/** All that a client needs in one file, what a host needs beyond it in another, and so on. */
function chooseChunk(id, { getModuleInfo }) {
  for (const [chunk, entries] of Object.entries(mainChunks)) {
    const isReached = (entry) => reachedFrom(join(root, compiledTo, entry), getModuleInfo).has(id);
    if (entries.some(isReached)) return chunk;
  }
  return null;
}

async function fillDist() {
  const files = compiledFiles();
  refuseWhereabouts(files);
  // What several entries use is there once: an error of one is an instance of another's class.
  const bundle = await rollup({
    input: Object.fromEntries(
      entryPoints(files).map((file) => [
        file.replace(/\.js$/, ""),
        join(root, compiledTo, file),
      ]),
    ),
    // Packages and Node's own modules stay imports.
    external: (id) => !id.startsWith(".") && !isAbsolute(id),
    treeshake: false,
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  await bundle.write({
    dir: fresh,
    format: "es",
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js",
    hoistTransitiveImports: false,
    manualChunks: chooseChunk,
  });
  await bundle.close();
  for (const file of files) {
    if (!file.endsWith(".d.ts") && !file.startsWith("cli/")) continue;
    mkdirSync(dirname(join(fresh, file)), { recursive: true });
    copyFileSync(join(root, compiledTo, file), join(fresh, file));
  }
  chmodSync(join(fresh, program), 0o755);
}

const result = await compile(distProject);
if (!result.ok) {
  process.stderr.write(result.output);
  process.stderr.write("build: the sources do not compile, see above\n");
  process.exit(1);
}
if (!existsSync(join(root, compiledTo, program))) {
  process.stderr.write(`build: ${program} was not written; is src/cli/main.ts there?\n`);
  process.exit(1);
}
const bundled = existsSync(bundledFile) ? readFileSync(bundledFile, "utf8") : "";
if (bundled !== result.stamp || !existsSync(join(dist, program))) {
  rmSync(fresh, { recursive: true, force: true });
  await fillDist();
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
  writeFileSync(bundledFile, result.stamp);
}
