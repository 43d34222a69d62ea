/** From the text of a source to that of the same source with a bug in it. */
import ts from "typescript";
import type { Mutant } from "./types.js";

/** Why the mutant does not fit the source, or null. */
export function findProblem({ file, find, replace }: Mutant, source: string): string | null {
  const at = source.indexOf(find);
  if (find === "" || at < 0) return `its text is not in ${file} (any more)`;
  if (source.includes(find, at + 1)) return `its text is in ${file} more than once`;
  return find === replace ? "it changes nothing" : null;
}

export function mutate(mutant: Mutant, source: string): string {
  const problem = findProblem(mutant, source);
  if (problem !== null) throw new Error(`${mutant.id}: ${problem}`);
  const at = source.indexOf(mutant.find);
  return source.slice(0, at) + mutant.replace + source.slice(at + mutant.find.length);
}

/** JavaScript as the project's compiler writes it, but for the link to the source map. */
export function transpile(file: string, source: string, options: ts.CompilerOptions): string {
  const { outputText, diagnostics } = ts.transpileModule(source, {
    fileName: file,
    compilerOptions: options,
    reportDiagnostics: true,
  });
  const [first] = diagnostics ?? [];
  if (first === undefined) return outputText;
  throw new Error(`${file}: ${ts.flattenDiagnosticMessageText(first.messageText, "\n")}`);
}

/**
 * Those of tsconfig.base.json, less what only makes other files. A single file cannot see that the
 * package is one of ES modules, so it is told.
 */
export function readCompilerOptions(): ts.CompilerOptions {
  const { config, error } = ts.readConfigFile("tsconfig.base.json", (path) =>
    ts.sys.readFile(path),
  ) as { config: { compilerOptions: object }; error?: ts.Diagnostic };
  if (error !== undefined) throw new Error("tsconfig.base.json cannot be read");
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ".");
  const { ESNext: module } = ts.ModuleKind;
  const { Bundler: moduleResolution } = ts.ModuleResolutionKind;
  return { ...options, module, moduleResolution, sourceMap: false, declaration: false };
}
