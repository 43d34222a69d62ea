/** Examples: code blocks of docstrings and documents, made into modules that a compiler can check. */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import ts from "typescript";
import { sourcePaths, walk } from "../architecture/source.js";

export type Example = {
  /** `src/errors.ts:62`, where the block begins. */
  readonly place: string;
  readonly language: "ts" | "js";
  readonly text: string;
};

/** What `import` finds under the package's names. */
export function readEntryPoints(): Readonly<Record<string, string>> {
  const { name, exports } = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, { readonly types: string } | string>>;
  };
  const sourceOf = (types: string) => types.replace("./dist/", "src/").replace(/\.d\.ts$/, ".ts");
  return Object.fromEntries(
    Object.entries(exports).flatMap(([key, entry]) =>
      typeof entry === "string" ? [] : [[`${name}${key.slice(1)}`, sourceOf(entry.types)]],
    ),
  );
}

const entryPoints = readEntryPoints();

/** The blocks of a document that are TypeScript or JavaScript. */
export function examplesOfDocument(path: string, text: string): Example[] {
  return [...text.matchAll(/^```(ts|js)\n([^]*?)^```$/gm)].map((match) => ({
    place: `${path}:${lineAt(text, match.index)}`,
    language: match[1] as "ts" | "js",
    text: match[2]!,
  }));
}

/** The blocks of a source's docstrings. */
export function examplesOfSource(path: string, text: string): Example[] {
  return [...text.matchAll(/^ *\* ```ts\n([^]*?)^ *\* ```$/gm)].map((match) => ({
    place: `${path}:${lineAt(text, match.index)}`,
    language: "ts",
    text: match[1]!.replace(/^ *\* ?/gm, ""),
  }));
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

export function readExamples(): Example[] {
  const documents = ["docs", "docs/guides", "docs/decisions", "."].flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith(".md"))
      .map((file) => (folder === "." ? file : `${folder}/${file}`)),
  );
  return [
    ...sourcePaths("src").flatMap((path) => examplesOfSource(path, readFileSync(path, "utf8"))),
    ...documents.sort().flatMap((path) => examplesOfDocument(path, readFileSync(path, "utf8"))),
  ];
}

const contextPath = "test/types/example-context.ts";
/** Of a program that uses the library. */
export const userOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ["node"],
  skipLibCheck: true,
};
const options: ts.CompilerOptions = {
  ...userOptions,
  noEmit: true,
  allowJs: true,
  checkJs: true,
  paths: Object.fromEntries(
    Object.entries(entryPoints).map(([name, path]) => [name, [`./${path}`]]),
  ),
};
const strict: ts.CompilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
};

/**
 * A function that says what the compiler has against each example, by its place, in the lines of its block. The
 * library itself is read once for all calls.
 */
export function createExampleCheck(): (examples: readonly Example[]) => Map<string, string[]> {
  const texts = new Map<string, string>();
  const host = createCachedHost(texts);
  const exported = exportsOf([...Object.values(entryPoints), contextPath], host);

  const check = (
    examples: readonly Example[],
    settings: ts.CompilerOptions,
  ): [string, string[]][] => {
    texts.clear();
    const files = examples.map((example, number) => {
      const path = `test/types/example-${number}.${example.language}`;
      const tree = ts.createSourceFile(path, example.text, ts.ScriptTarget.ES2023, true);
      texts.set(path, `${preambleOf(tree, exported)}\n${example.text}\nexport {};\n`);
      return path;
    });
    const program = ts.createProgram(files, settings, host);
    return files.flatMap((path, number) => {
      const said = ts
        .getPreEmitDiagnostics(program, program.getSourceFile(path))
        .map(({ start = 0, messageText }) => {
          const line = lineAt(texts.get(path)!, start) - 1;
          return `line ${line}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
        });
      return said.length === 0 ? [] : [[examples[number]!.place, said]];
    });
  };

  return (examples) => {
    const typed = examples.filter(({ language }) => language === "ts");
    const plain = examples.filter(({ language }) => language === "js");
    return new Map([...check(typed, { ...options, ...strict }), ...check(plain, options)]);
  };
}

/** Reads `texts` in place of files, and every other file once. */
function createCachedHost(texts: ReadonlyMap<string, string>): ts.CompilerHost {
  const host = ts.createCompilerHost(options, true);
  const { fileExists, readFile, getSourceFile } = host;
  const read = new Map<string, ts.SourceFile | undefined>();
  const textOf = (path: string): string | undefined => texts.get(`test/types/${basename(path)}`);
  host.fileExists = (path) => textOf(path) !== undefined || fileExists(path);
  host.readFile = (path) => textOf(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = textOf(path);
    if (text !== undefined) return ts.createSourceFile(path, text, languageVersion, true);
    if (!read.has(path)) read.set(path, getSourceFile(path, languageVersion, ...rest));
    return read.get(path);
  };
  return host;
}

/** Every name that an example may use without a word, and the module that it then comes from. */
function exportsOf(paths: readonly string[], host: ts.CompilerHost): Map<string, string> {
  const program = ts.createProgram(paths, options, host);
  const checker = program.getTypeChecker();
  const names = new Map<string, string>();
  const specifiers = [...Object.keys(entryPoints), "./example-context.js"];
  for (const [at, path] of paths.entries()) {
    const symbol = checker.getSymbolAtLocation(program.getSourceFile(path)!)!;
    for (const { name } of checker.getExportsOfModule(symbol)) {
      if (!names.has(name)) names.set(name, specifiers[at]!);
    }
  }
  return names;
}

/** One line that imports what the example uses and does not declare. */
function preambleOf(tree: ts.SourceFile, exported: ReadonlyMap<string, string>): string {
  const declared = new Set<string>();
  const used = new Set<string>();
  walk(tree, (node) => {
    if (!ts.isIdentifier(node)) return;
    const { parent } = node;
    const isName =
      (ts.isVariableDeclaration(parent) ||
        ts.isImportSpecifier(parent) ||
        ts.isParameter(parent) ||
        ts.isBindingElement(parent)) &&
      parent.name === node;
    if (isName) declared.add(node.text);
    else if (!(ts.isPropertyAccessExpression(parent) && parent.name === node)) used.add(node.text);
  });
  return [...used]
    .filter((name) => !declared.has(name) && exported.has(name))
    .map((name) => `import { ${name} } from "${exported.get(name)!}";`)
    .join(" ");
}
