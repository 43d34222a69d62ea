/** `npm run build`: src/ to dist/, with the command line made executable. */
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { compile, distProject, root } from "./compile.mjs";

const result = await compile(distProject);
if (!result.ok) {
  process.stderr.write(result.output);
  process.stderr.write("build: the sources do not compile, see above\n");
  process.exit(1);
}
const main = join(root, "dist", "cli", "main.js");
if (!existsSync(main)) {
  process.stderr.write("build: dist/cli/main.js was not written; is src/cli/main.ts there?\n");
  process.exit(1);
}
chmodSync(main, 0o755);
