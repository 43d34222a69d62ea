/** The examples in the docstrings of the value and of its codec compile as a user would type them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../../../", import.meta.url));

const files: Readonly<Record<string, string>> = {
  "src/value/define.ts": "defineValue",
  "src/codec/values.ts": "createCborCodec",
};

/** Every example of a file as a module that imports `name` from it. */
function examplesOf(file: string, name: string): string {
  const source = ts.sys.readFile(root + file) ?? assert.fail(`no ${file}`);
  const blocks = [...source.matchAll(/\* ```ts\n([\s\S]*?) \* ```/g)].map((match) => match[1]!);
  assert.ok(blocks.length > 0, `${file} has no example`);
  const body = blocks.join("").replaceAll(/^ \* ?/gm, "");
  return `import { ${name} } from "./${file.split("/").at(-1)!.replace(/ts$/, "js")}";\n${body}\nexport {};\n`;
}

function errorsIn(modules: ReadonlyMap<string, string>): string[] {
  const path = ts.sys.resolvePath(`${root}tsconfig.json`);
  const read = ts.readConfigFile(path, (name) => ts.sys.readFile(name));
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, root);
  const quiet = { ...options, noEmit: true, incremental: false, noUnusedLocals: false, types: [] };
  delete quiet.tsBuildInfoFile;
  const host = ts.createCompilerHost(quiet);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => modules.has(name) || fileExists(name);
  host.getSourceFile = (name, target) => {
    const text = modules.get(name);
    return text === undefined
      ? getSourceFile(name, target)
      : ts.createSourceFile(name, text, target);
  };
  const program = ts.createProgram([...modules.keys()], quiet, host);
  return [...modules.keys()].flatMap((name) => {
    const file = program.getSourceFile(name);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      (one) => `${name}: ${ts.flattenDiagnosticMessageText(one.messageText, " ")}`,
    );
  });
}

test("the examples of docstrings compile, and one with a mistake would not", () => {
  const modules = new Map<string, string>();
  for (const [file, name] of Object.entries(files)) {
    modules.set(root + file.replace(/\.ts$/, "-example.ts"), examplesOf(file, name));
  }
  const [path, text] = [...modules][0]!;
  const wrong = path.replace("-example", "-wrong");
  modules.set(wrong, text.replace("forMs: number", "forMs: string"));
  const errors = errorsIn(modules);
  assert.deepEqual(
    errors.filter((error) => !error.startsWith(wrong)),
    [],
  );
  assert.equal(errors.length, 1);
});
