/** What a file's code must not hold: shared state, impurity in pure rooms, too much at once. */
import ts from "typescript";
import { lineOf, type SourceFacts, walk } from "./source.js";

/** Folders whose code is a function of its input, so that a simulator or a browser can run it. */
export function isPure(path: string): boolean {
  return /^src\/(core|value)\/|^src\/replica(\.ts|\/)/.test(path);
}

const bannedNames: readonly string[] = Object.freeze([
  ...[
    "Date",
    "performance",
    "structuredClone",
    "Promise",
    "process",
    "Buffer",
    "console",
    "crypto",
  ],
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "globalThis", "fetch"],
]);

/** A line for each use of clock, chance or promises in a pure file. */
export function checkPurity(facts: SourceFacts): readonly string[] {
  if (!isPure(facts.path)) return [];
  const found: string[] = [];
  const { tree } = facts;
  walk(tree, (node) => {
    const place = `${facts.path}:${lineOf(tree, node)}`;
    if (ts.isIdentifier(node) && bannedNames.includes(node.text) && isUse(node)) {
      found.push(`${place}: ${node.text} in a pure room`);
    } else if (ts.isPropertyAccessExpression(node) && node.getText(tree) === "Math.random") {
      found.push(`${place}: Math.random in a pure room`);
    } else if (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node)) {
      found.push(`${place}: async in a pure room`);
    }
  });
  return found;
}

/** Not a name of somebody's field or a type, which are free. */
function isUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isTypeReferenceNode(parent) || ts.isTypeQueryNode(parent)) return false;
  const names = ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent);
  return !(names && parent.name === node) && !ts.isLiteralTypeNode(parent);
}

/** A line for each piece of state that all users of a module would share. */
export function checkModuleState(facts: SourceFacts): readonly string[] {
  const found: string[] = [];
  const { tree } = facts;
  const report = (node: ts.Node, problem: string): void => {
    found.push(`${facts.path}:${lineOf(tree, node)}: ${problem}`);
  };
  for (const statement of tree.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    const constant = (statement.declarationList.flags & ts.NodeFlags.Const) !== 0;
    const exported = statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    for (const declaration of statement.declarationList.declarations) {
      const name = declaration.name.getText(tree);
      if (!constant) report(declaration, `${name} is a variable of the module`);
      else if (isGrowing(declaration.initializer)) {
        report(
          declaration,
          `${name} is a collection of the module that can only be there to change`,
        );
      } else if (exported === true && isOpenToChange(declaration, tree)) {
        report(declaration, `${name} is exported and can be changed by anyone`);
      }
    }
  }
  walk(tree, (node) => {
    if (!ts.isPropertyDeclaration(node)) return;
    const kinds = node.modifiers?.map(({ kind }) => kind) ?? [];
    if (!kinds.includes(ts.SyntaxKind.StaticKeyword)) return;
    if (kinds.includes(ts.SyntaxKind.ReadonlyKeyword) && !isGrowing(node.initializer)) return;
    report(node, `${node.name.getText(tree)} is static state`);
  });
  return found;
}

const collections = /^(Weak)?(Map|Set)$/;
const buffers =
  /^(ArrayBuffer|DataView|Float32Array|Float64Array|(Big)?U?[Ii]nt(8|16|32|64)(Clamped)?Array)$/;

/** `[]`, `{}`, `new Map()`, `new Uint8Array(64)`: nothing in it yet. */
function isGrowing(initializer: ts.Expression | undefined): boolean {
  if (initializer === undefined) return false;
  if (ts.isArrayLiteralExpression(initializer)) return initializer.elements.length === 0;
  if (ts.isObjectLiteralExpression(initializer)) return initializer.properties.length === 0;
  if (!ts.isNewExpression(initializer)) return false;
  const made = initializer.expression.getText();
  const args = initializer.arguments ?? [];
  if (collections.test(made) || made === "Array") return args.length === 0;
  const size = args[0];
  return (
    buffers.test(made) && size !== undefined && !holdsSomething(size) && size.getText() !== "0"
  );
}

/** A buffer that is made from its content. */
function holdsSomething(argument: ts.Expression): boolean {
  return ts.isArrayLiteralExpression(argument) && argument.elements.length > 0;
}

/** An exported literal or collection that neither freezes nor has a type that says readonly. */
function isOpenToChange(declaration: ts.VariableDeclaration, tree: ts.SourceFile): boolean {
  const { initializer, type } = declaration;
  if (initializer === undefined) return false;
  const literal =
    ts.isArrayLiteralExpression(initializer) ||
    ts.isObjectLiteralExpression(initializer) ||
    (ts.isNewExpression(initializer) && collections.test(initializer.expression.getText(tree)));
  if (!literal) return false;
  if (type === undefined) return true;
  const written = type.getText(tree);
  if (/^readonly\b/.test(written)) return false;
  return /^(Record|Map|Set|WeakMap|WeakSet|Array)<|\[\]$|^\{/.test(written);
}

export const limits = Object.freeze({ fileLines: 400, functionLines: 70 });

/** Something too long, with how long it is. `name` is what an exception is filed under. */
export type TooLong = { readonly name: string; readonly lines: number; readonly limit: number };

/** The file itself and each function in it that is longer than it should be. */
export function findTooLong(facts: SourceFacts): readonly TooLong[] {
  const found: TooLong[] = [];
  if (facts.lines > limits.fileLines) {
    found.push({ name: facts.path, lines: facts.lines, limit: limits.fileLines });
  }
  const { tree } = facts;
  walk(tree, (node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return;
    if (isGroupOfTests(node)) return;
    const end = tree.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
    const lines = end - lineOf(tree, node) + 1;
    if (lines <= limits.functionLines) return;
    const name = `${facts.path}: ${functionName(node, tree)}`;
    found.push({ name, lines, limit: limits.functionLines });
  });
  return found;
}

/** The callback of `describe`, or a function of a contract suite: holds tests and no steps of its own. */
function isGroupOfTests(node: ts.Node): boolean {
  if (ts.isCallExpression(node.parent)) {
    if (/^(describe|suite)(\.|$)/.test(node.parent.expression.getText())) return true;
  }
  const body = "body" in node ? (node.body as ts.Node | undefined) : undefined;
  if (body === undefined || !ts.isBlock(body)) return false;
  return body.statements.some(
    (statement) =>
      ts.isExpressionStatement(statement) &&
      ts.isCallExpression(statement.expression) &&
      /^(test|it)(\.|$)/.test(statement.expression.expression.getText()),
  );
}

function functionName(node: ts.Node, tree: ts.SourceFile): string {
  if ("name" in node && node.name !== undefined) return (node.name as ts.Node).getText(tree);
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) {
    return parent.name.getText(tree);
  }
  if (ts.isCallExpression(parent)) {
    const title = parent.arguments.find((argument) => ts.isStringLiteralLike(argument));
    return `${parent.expression.getText(tree)}(${title?.getText(tree) ?? ""})`;
  }
  return ts.isConstructorDeclaration(node) ? "constructor" : "a function without a name";
}

/** A line for each file whose name or exports are not as the others'. */
export function checkStyle(facts: SourceFacts): readonly string[] {
  const found: string[] = [];
  const file = facts.path.split("/").at(-1)!;
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(file)) {
    found.push(`${facts.path}: file names are kebab-case`);
  }
  walk(facts.tree, (node) => {
    const place = `${facts.path}:${lineOf(facts.tree, node)}`;
    if (node.kind === ts.SyntaxKind.DefaultKeyword && ts.canHaveModifiers(node.parent)) {
      found.push(`${place}: default export`);
    } else if (ts.isExportAssignment(node)) found.push(`${place}: default export`);
    else if (ts.isEnumDeclaration(node)) found.push(`${place}: enum`);
    else if (ts.isModuleDeclaration(node)) found.push(`${place}: namespace`);
    else if (ts.isDecorator(node)) found.push(`${place}: decorator`);
    else if (ts.isHeritageClause(node) && isInheritance(node)) {
      found.push(`${place}: inheritance`);
    }
  });
  return found;
}

/** Errors have to extend Error; interfaces may extend each other. */
function isInheritance(clause: ts.HeritageClause): boolean {
  return (
    ts.isClassLike(clause.parent) &&
    clause.token === ts.SyntaxKind.ExtendsKeyword &&
    clause.types.some((type) => !/Error$/.test(type.expression.getText()))
  );
}
