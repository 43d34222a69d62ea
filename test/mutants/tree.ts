/** A copy of the compiled program, in which one file at a time is replaced by a mutated one. */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CompilerOptions } from "typescript";
import { mutate, transpile } from "./mutate.js";
import type { Mutant } from "./types.js";

export type Tree = {
  readonly folder: string;
  /** What the changed file was before, or null while nothing is changed. */
  changed: { readonly path: string; readonly text: string } | null;
};

/** The project's root is where `node_modules` and `test/scenarios` are. */
export function copyTree(compiled: string, folder: string): Tree {
  rmSync(folder, { recursive: true, force: true });
  for (const part of ["src", "test"]) {
    cpSync(join(compiled, part), join(folder, part), {
      recursive: true,
      filter: (path) => !path.endsWith(".d.ts") && !path.endsWith(".map"),
    });
  }
  return { folder, changed: null };
}

export function removeTree(tree: Tree): void {
  rmSync(tree.folder, { recursive: true, force: true });
}

export function compiledPath(folder: string, source: string): string {
  return join(folder, source.replace(/\.ts$/, ".js"));
}

export function putMutant(
  tree: Tree,
  mutant: Mutant,
  source: string,
  options: CompilerOptions,
): void {
  takeMutantOut(tree);
  const path = compiledPath(tree.folder, mutant.file);
  tree.changed = { path, text: readFileSync(path, "utf8") };
  writeFileSync(path, transpile(mutant.file, mutate(mutant, source), options));
}

export function takeMutantOut(tree: Tree): void {
  const { changed } = tree;
  tree.changed = null;
  if (changed !== null) writeFileSync(changed.path, changed.text);
}

/** Sources and compiled files may have gone apart while somebody edits. Returns those that have. */
export function outdated(
  folder: string,
  sources: ReadonlyMap<string, string>,
  options: CompilerOptions,
): string[] {
  const code = (text: string): string => text.replace(/^\/\/# sourceMappingURL=.*$/m, "").trim();
  return [...sources]
    .filter(([file, source]) => {
      const compiled = readFileSync(compiledPath(folder, file), "utf8");
      return code(compiled) !== code(transpile(file, source, options));
    })
    .map(([file]) => file);
}
