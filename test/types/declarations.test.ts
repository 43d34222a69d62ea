/** What a compiler of others makes of our declarations: it may be older than ours, and writes declarations of its own. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { readEntryPoints, userOptions } from "./examples.js";

const options: ts.CompilerOptions = { ...userOptions, strict: true, declaration: true };

describe("the declarations", () => {
  let program: ts.Program;
  before(() => {
    program = ts.createProgram(Object.values(readEntryPoints()), options);
  });

  /** With `declaration: true` a compiler has to name the type of `export const x = restore(...)`. */
  test("export a name for whatever a function of ours returns", () => {
    const checker = program.getTypeChecker();
    const exported = Object.values(readEntryPoints()).flatMap((path) =>
      checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(path)!)!),
    );
    const originals = exported.map((symbol) => original(symbol, checker));
    const nameless = originals.flatMap((symbol) =>
      checker
        .getSignaturesOfType(checker.getTypeOfSymbol(symbol), ts.SignatureKind.Call)
        .flatMap((signature) => namesOf(checker.getReturnTypeOfSignature(signature), checker))
        .filter((named) => isOurs(named) && !originals.includes(named))
        .map((named) => `${symbol.name} returns ${named.name}`),
    );
    assert.ok(originals.some(({ name }) => name === "restore"));
    assert.deepEqual(nameless, []);
  });

  /** Arrays of bytes have had a type argument since 5.7, `NoInfer` is of 5.4. */
  test("say nothing that TypeScript 5.4 does not know", () => {
    const root = fileURLToPath(new URL("../../src/", import.meta.url));
    const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".d.ts"),
    );
    const found = paths.flatMap((path) => {
      const text = readFileSync(join(root, path), "utf8");
      const [generic] = /\b(?:\w+Array|DataView|Buffer)<ArrayBuffer\w*>/.exec(text) ?? [];
      return generic === undefined ? [] : [`${path}: ${generic}`];
    });
    assert.ok(paths.length > 100);
    assert.deepEqual(found, []);
  });
});

function original(symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol {
  return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
}

/** Of the type, its parts and its arguments, as far as a declaration would say their names. */
function namesOf(type: ts.Type, checker: ts.TypeChecker): ts.Symbol[] {
  const { aliasSymbol, aliasTypeArguments = [] } = type;
  const inner = (types: readonly ts.Type[]) => types.flatMap((one) => namesOf(one, checker));
  if (aliasSymbol !== undefined) return [aliasSymbol, ...inner(aliasTypeArguments)];
  if (type.isUnionOrIntersection()) return inner(type.types);
  const isReference =
    (type.flags & ts.TypeFlags.Object) !== 0 &&
    ((type as ts.ObjectType).objectFlags & ts.ObjectFlags.Reference) !== 0;
  const args = isReference ? checker.getTypeArguments(type as ts.TypeReference) : [];
  const named = type.isClassOrInterface() || isReference ? [type.symbol] : [];
  // The argument `this` of an interface is the interface itself.
  return [...named, ...inner(args.filter((arg) => arg !== type && !arg.isTypeParameter()))];
}

function isOurs(symbol: ts.Symbol): boolean {
  return (symbol.declarations ?? []).some(
    (node) => !node.getSourceFile().fileName.includes("/node_modules/"),
  );
}
