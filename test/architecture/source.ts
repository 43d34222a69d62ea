/** What the rules need to know of a source file, read from its syntax alone. */
import { readdirSync } from "node:fs";
import ts from "typescript";

export type Import = {
  readonly specifier: string;
  /** Erased by the compiler: no code of the other module runs because of it. */
  readonly typeOnly: boolean;
  readonly line: number;
};

export type SourceFacts = {
  /** From the root, with slashes: `src/core/step.ts`. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  readonly tree: ts.SourceFile;
};

/** Of all TypeScript below the folders, from the root, with slashes; sorted. */
export function sourcePaths(...folders: readonly string[]): readonly string[] {
  return folders
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
        .map((file) => `${folder}/${file.replaceAll("\\", "/")}`),
    )
    .sort();
}

export function readSource(path: string, text: string): SourceFacts {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.TS);
  return {
    path,
    lines: text.replace(/\n$/, "").split("\n").length,
    imports: importsOf(tree),
    tree,
  };
}

export function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function importsOf(tree: ts.SourceFile): Import[] {
  const found: Import[] = [];
  walk(tree, (node) => {
    if (ts.isImportDeclaration(node)) {
      push(node, node.moduleSpecifier, isTypeOnlyClause(node.importClause));
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      push(node, node.moduleSpecifier, node.isTypeOnly || allTypeOnly(node.exportClause));
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      if (node.arguments[0] !== undefined) push(node, node.arguments[0], false);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      push(node, node.argument.literal, true);
    }
  });
  return found;

  function push(node: ts.Node, specifier: ts.Node, typeOnly: boolean): void {
    if (!ts.isStringLiteralLike(specifier)) return;
    found.push({ specifier: specifier.text, typeOnly, line: lineOf(tree, node) });
  }
}

function isTypeOnlyClause(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  return clause.name === undefined && allTypeOnly(clause.namedBindings);
}

/** `{ type A, type B }`; with verbatimModuleSyntax the module is loaded all the same if it is empty. */
function allTypeOnly(
  bindings: ts.NamedImportBindings | ts.NamedExportBindings | undefined,
): boolean {
  if (bindings === undefined || !(ts.isNamedImports(bindings) || ts.isNamedExports(bindings))) {
    return false;
  }
  return bindings.elements.length > 0 && bindings.elements.every((element) => element.isTypeOnly);
}
