/**
 * `npm test`: types, lint, format and every .test.ts file, each counted. `npm test -- PATTERN ...`
 * runs only the files whose path contains a pattern (`types`, `lint` and `format` name the checks).
 *
 * The last line is `N passed, N failed`; the exit code is 0 only if something passed and nothing failed.
 * Writes below build/ only.
 */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, isAbsolute, join, relative } from "node:path";
import { run } from "node:test";
import { buildProject, compile, filesUnder, root, runTool } from "./compile.mjs";

/** A test file that hangs fails after this long; the whole run has to fit into a quarter of an hour. */
const fileTimeoutMs = 5 * 60_000;
const cores = availableParallelism();

const patterns = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

const wants = (name) =>
  patterns.length === 0 || patterns.some((pattern) => name.includes(pattern.replace(/\.ts$/, "")));
const say = (line) => process.stdout.write(`${line}\n`);
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

function count(name, passed, detail, durationMs) {
  if (passed) totals.passed += 1;
  else {
    totals.failed += 1;
    failures.push({ name, detail });
    say(`FAILED ${name}\n${detail.replace(/^/gm, "    ")}`);
  }
  if (durationMs !== null) say(`${passed ? "ok    " : "not ok"} ${name} (${seconds(durationMs)})`);
}

async function check(name, work) {
  const startedMs = Date.now();
  const { ok, output } = await work();
  count(name, ok, output, Date.now() - startedMs);
}

async function tool(script, args) {
  const { code, output } = await runTool(script, args);
  return { ok: code === 0, output };
}

/** Whatever was thrown, as a person wants to read it. */
function describe(error) {
  const cause = error?.cause ?? error;
  if (typeof error?.exitCode === "number") return `the file ended with exit code ${error.exitCode}`;
  if (cause instanceof Error || typeof cause?.stack === "string") return cause.stack;
  return String(cause?.message ?? cause);
}

/** What one test file said while it ran: printed with its failure only. */
function createFileReport(file) {
  return { file, passed: 0, failed: 0, skipped: 0, said: "" };
}

/** `whole`: this is no test but the file, which node reports if it holds none or broke outside of them. */
function onTest(report, passed, whole, data) {
  const { details } = data;
  if (data.skip !== undefined || data.todo !== undefined) report.skipped += 1;
  else if (details.type === "suite" && passed) return;
  else if (!passed && details.error?.failureType === "subtestsFailed") return;
  else if (passed && whole) {
    report.failed += 1;
    count(report.file, false, "this file holds no test", null);
  } else {
    if (passed) report.passed += 1;
    else report.failed += 1;
    const title = whole ? report.file : `${report.file}: ${data.name}`;
    count(title, passed, passed ? "" : `${describe(details.error)}\n${report.said}`, null);
  }
}

/** Runs test files and reports each as it ends. */
async function runFiles(files, concurrency) {
  const reports = new Map(files.map((file) => [nameOf(file), createFileReport(nameOf(file))]));
  const suites = new Map();
  const stream = run({ files, concurrency, timeout: fileTimeoutMs });
  for await (const { type, data } of stream) {
    // With source maps a test says that it lies in the .ts file, the file itself that it is a .js file.
    if (data.file === undefined) continue;
    const name = nameOf(data.file);
    // A contract suite is called by test files, and its tests say that they lie in the suite.
    if (!reports.has(name)) suites.set(name, suites.get(name) ?? createFileReport(name));
    const report = reports.get(name) ?? suites.get(name);
    const whole = nameOf(data.name ?? "") === report.file;
    if (type === "test:stdout" || type === "test:stderr") report.said += data.message;
    else if (type === "test:pass") onTest(report, true, whole, data);
    else if (type === "test:fail") onTest(report, false, whole, data);
    else if (type === "test:complete" && whole) {
      say(`ended  ${report.file} (${seconds(data.details.duration_ms)})`);
    }
  }
  for (const report of [...reports.values(), ...suites.values()]) {
    totals.skipped += report.skipped;
    if (ran(report) > 0 || suitesOf(report.file).some((name) => ran(suites.get(name)) > 0))
      continue;
    count(report.file, false, "no test of this file was reported", null);
  }
}

function ran(report) {
  return report === undefined ? 0 : report.passed + report.failed + report.skipped;
}

/** The contract suites that a test file calls, by the names that their tests are reported under. */
function suitesOf(file) {
  const path = join(root, "build", `${file}.js`);
  if (!existsSync(path)) return [];
  const imports = readFileSync(path, "utf8").matchAll(/from "(\.\.?\/[^"]*contract\/[^"]+)\.js"/g);
  return [...imports].map(([, name]) => nameOf(join(dirname(path), name)));
}

/** `test/core/log.test`, of the source as of what it was compiled to. */
function nameOf(file) {
  if (!isAbsolute(file)) return file;
  return relative(root, file)
    .replace(/^build[\\/]/, "")
    .replace(/\.[jt]s$/, "");
}

const startedMs = Date.now();
// Everything else runs from what this writes, so it is compiled even when nobody asked for the check.
await check("types", () => compile(buildProject));
if (wants("types")) {
  await check("types of the pure folders", () =>
    tool("typescript/bin/tsc", ["-p", "tsconfig.pure.json"]),
  );
}
await Promise.all([
  wants("lint") && check("lint", () => tool("eslint/bin/eslint.js", ["."])),
  wants("format") &&
    check("format", () =>
      tool("prettier/bin/prettier.cjs", ["--check", "--log-level", "warn", "."]),
    ),
]);

const files = filesUnder("build/test")
  .filter((file) => file.endsWith(".test.js"))
  .map((file) => join(root, file))
  .filter((file) => wants(nameOf(file)));
// End-to-end tests have several busy processes each: they come last and not many at a time.
const endToEnd = files.filter((file) => nameOf(file).startsWith(join("test", "e2e")));
const inProcess = files.filter((file) => !endToEnd.includes(file));
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --enable-source-maps`.trim();
if (inProcess.length > 0) await runFiles(inProcess, Math.min(8, cores));
if (endToEnd.length > 0) await runFiles(endToEnd, Math.max(1, Math.min(4, cores >> 1)));
if (files.length === 0 && patterns.length > 0 && !["types", "lint", "format"].some(wants)) {
  count(patterns.join(" "), false, "no test file has a path that contains this", null);
}

if (failures.length > 0) {
  say(`\nfailed:`);
  for (const { name } of failures) say(`  ${name}`);
}
if (totals.skipped > 0) say(`${totals.skipped} skipped`);
say(`in ${seconds(Date.now() - startedMs)}`);
say(`${totals.passed} passed, ${totals.failed} failed`);
process.exitCode = totals.passed > 0 && totals.failed === 0 ? 0 : 1;
