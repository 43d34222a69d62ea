/**
 * Evaluates what is typed at the prompt, in this realm: an object literal made by `node:vm` would have
 * another `Object.prototype` and be no plain object to the library.
 */

/** Names that a line can use; declarations add to them. */
export type Scope = Record<string, unknown>;

export type Evaluated =
  | { readonly type: "value"; readonly value: unknown }
  | { readonly type: "thrown"; readonly error: unknown }
  /** Nothing to show: an empty line, a statement. */
  | { readonly type: "nothing" }
  /** The line goes on in the next one. */
  | { readonly type: "incomplete" };

type Body = (scope: Scope) => Promise<unknown>;
type BodyConstructor = new (parameter: string, code: string) => Body;

const declaration = /^(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*=(?!=)([^]*)$/;

/** Awaits what the code gives; `const x = ...` keeps `x` for the lines to come. Never rejects. */
export async function evaluate(code: string, scope: Scope): Promise<Evaluated> {
  if (isOpen(code)) return { type: "incomplete" };
  const text = code.trim().replace(/;+$/, "");
  if (text === "") return { type: "nothing" };
  const declared = declaration.exec(text);
  try {
    if (declared === null) return await run(text, scope);
    scope[declared[1]!] = await compileExpression(declared[2]!)(scope);
    return { type: "nothing" };
  } catch (error) {
    return { type: "thrown", error };
  }
}

async function run(text: string, scope: Scope): Promise<Evaluated> {
  let body: Body;
  try {
    body = compileExpression(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // No expression: a statement (`for`, `if`, a block), whose own errors are the ones to show.
    await compile(`with (scope) { ${text}\n }`)(scope);
    return { type: "nothing" };
  }
  return { type: "value", value: await body(scope) };
}

function compileExpression(text: string): Body {
  return compile(`with (scope) { return (${text}\n); }`);
}

/** Functions made from text are sloppy, which is what `with` and undeclared names need. */
function compile(code: string): Body {
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as BodyConstructor;
  return new AsyncFunction("scope", code);
}

/** Whether a bracket or a template is still open at the end. Knows strings and comments, not regexes. */
export function isOpen(code: string): boolean {
  let depth = 0;
  let quote = "";
  for (let at = 0; at < code.length; at += 1) {
    const char = code[at]!;
    if (quote !== "") {
      if (char === "\\") at += 1;
      // A string that is not closed on its own line is an error for the compiler to name.
      else if (char === quote || (char === "\n" && quote !== "`")) quote = "";
    } else if (char === '"' || char === "'" || char === "`") quote = char;
    else if (char === "/" && code[at + 1] === "/") {
      const end = code.indexOf("\n", at);
      at = end < 0 ? code.length : end;
    } else if (char === "(" || char === "[" || char === "{") depth += 1;
    else if (char === ")" || char === "]" || char === "}") depth -= 1;
  }
  return depth > 0 || quote === "`";
}
